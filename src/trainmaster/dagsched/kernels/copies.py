"""Growing lists of copies, and when data arrive if a task may have several."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from trainmaster.dagsched.jit import borrower, inner, whole


class Copies(NamedTuple):
    """Up to ``capacity`` copies; ``first[v]`` is the newest copy of v, ``following[k]`` the one before,
    ``least[v]`` the earliest finish of a copy."""

    task: Any
    processor: Any
    start: Any
    finish: Any
    following: Any
    first: Any
    least: Any
    count: Any


@inner
def empty_copies(n, capacity):
    """No copies yet of n tasks."""
    first = np.empty(n, np.int64)
    least = np.empty(n)
    for v in range(n):
        first[v] = -1
        least[v] = np.inf
    count = np.empty(whole(1), np.int64)
    count[0] = 0
    return Copies(
        np.empty(capacity, np.int32),
        np.empty(capacity, np.int32),
        np.empty(capacity),
        np.empty(capacity),
        np.empty(capacity, np.int64),
        first,
        least,
        count,
    )


@borrower
def add_copy(c, v, q, start, finish):
    """Note a copy of v on q; the caller has made sure of the room."""
    k = c.count[0]
    c.task[k] = v
    c.processor[k] = q
    c.start[k] = start
    c.finish[k] = finish
    c.following[k] = c.first[v]
    c.first[v] = k
    if finish < c.least[v]:
        c.least[v] = finish
    c.count[0] = k + 1


@borrower
def on_processor(first, following, where, u, q):
    """The copy of u on q, −1 if there is none."""
    k = first[u]
    while k >= 0 and where[k] != q:
        k = following[k]
    return k
