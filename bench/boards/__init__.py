"""Rows to ranked tables."""
