"""Compiled kernels shared by several algorithms. Each has a slow twin in ``tests/naive``."""
