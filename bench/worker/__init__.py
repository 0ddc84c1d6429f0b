"""Does one task and keeps its row."""
