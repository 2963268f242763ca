"""How an agent executes one run: as a process or as a function call in a warm lane.

This package file stays empty of imports: the fork-server loads modules below it and must stay small.
"""
