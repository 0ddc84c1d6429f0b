"""What every plugin promises, and how an outsider has it checked."""
