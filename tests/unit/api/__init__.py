"""Tests of the HTTP shapes."""
