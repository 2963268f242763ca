"""Passes that make a given draft better."""
