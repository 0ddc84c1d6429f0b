"""Tasks to events: in this process, or on Ray."""
