"""What outsiders write, how it is found, and what it promises."""
