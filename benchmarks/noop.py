"""Functions that do nothing, for `dispatch` and `accuracy`."""

import time


def noop() -> None:
    pass


def stamp() -> float:
    """The clock at its first instruction."""
    return time.time()
