"""Growing lists of copies, and when data arrive if a task may have several."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from trainmaster.dagsched.jit import kernel


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


@kernel
def empty_copies(n, capacity):
    """No copies yet of n tasks."""
    return Copies(
        np.empty(capacity, np.int32),
        np.empty(capacity, np.int32),
        np.empty(capacity),
        np.empty(capacity),
        np.empty(capacity, np.int64),
        np.full(n, -1, np.int64),
        np.full(n, np.inf),
        np.zeros(1, np.int64),
    )


@kernel
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


@kernel
def arrival_from_copies(c, u, q, cost):
    """Earliest time the data of u are at q: the least over its copies; inf without one."""
    earliest = c.least[u] + cost
    k = c.first[u]
    while k >= 0:
        if c.processor[k] == q:
            return c.finish[k] if c.finish[k] < earliest else earliest
        k = c.following[k]
    return earliest


@kernel
def on_processor(c, u, q):
    """The copy of u on q, −1 if there is none."""
    k = c.first[u]
    while k >= 0:
        if c.processor[k] == q:
            return k
        k = c.following[k]
    return -1
