"""What tests of plugins are made of: toy data, a run that takes notes, rows."""
