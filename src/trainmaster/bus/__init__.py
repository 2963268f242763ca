"""Hints that something changed. Nothing here is truth."""
