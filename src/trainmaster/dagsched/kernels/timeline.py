"""When a processor is free: the gaps between its tasks, as one doubly linked list per processor.

A gap is a node k with ``start[k]``, ``end[k]``, ``before[k]``, ``after[k]``; ``last[q]`` is the open gap of
processor q (end inf), so the free time after everything is a gap like any other. Lists are searched from
the back: a list scheduler looks near the end nearly always. Gaps too short for every task still to come
are dropped.
"""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from trainmaster.dagsched.jit import kernel, whole


class Timeline(NamedTuple):
    """Gap lists of p processors, room for ``capacity`` gaps."""

    start: Any
    end: Any
    before: Any
    after: Any
    last: Any
    free: Any
    count: Any


@kernel
def empty_timeline(p, capacity):
    """Every processor free from 0 on. ``capacity``: number of tasks to be placed, plus p."""
    start = np.zeros(capacity)
    end = np.full(capacity, np.inf)
    before = np.full(capacity, -1, np.int32)
    after = np.full(capacity, -1, np.int32)
    last = np.arange(p).astype(np.int32)
    free = np.empty(capacity, np.int32)
    # count[0]: nodes ever used; count[1]: nodes on the free stack.
    count = np.zeros(2, np.int64)
    count[0] = p
    return Timeline(start, end, before, after, last, free, count)


@kernel
def earliest_gap(t, q, ready, duration, insertion):
    """The gap of q where a task of ``duration`` that is ``ready`` starts first. Returns (gap, start).

    Without ``insertion`` only the time after everything counts.
    """
    k = t.last[q]
    best = k
    begin = t.start[k]
    if ready > begin:
        begin = ready
    if insertion:
        k = t.before[k]
        while k >= 0:
            if t.end[k] < ready + duration:
                break
            s = t.start[k]
            if ready > s:
                s = ready
            if s + duration <= t.end[k]:
                best = k
                begin = s
            k = t.before[k]
    return best, begin


@kernel
def occupy(t, q, k, begin, finish, shortest):
    """Take ``begin`` … ``finish`` out of gap k of q; keep remainders of at least ``shortest`` (> 0)."""
    gap_end = t.end[k]
    left = begin - t.start[k]
    keep_left = left > 0 and left >= shortest
    if k == t.last[q]:
        if keep_left:
            # The node stays as the closed gap before; a new one becomes the open gap.
            new = _take(t)
            t.end[k] = begin
            t.after[k] = new
            t.before[new] = k
            t.after[new] = -1
            t.start[new] = finish
            t.end[new] = np.inf
            t.last[q] = new
        else:
            t.start[k] = finish
        return
    right = gap_end - finish
    keep_right = right > 0 and right >= shortest
    if keep_left and keep_right:
        new = _take(t)
        t.end[k] = begin
        t.start[new] = finish
        t.end[new] = gap_end
        t.before[new] = k
        t.after[new] = t.after[k]
        t.before[t.after[k]] = new
        t.after[k] = new
    elif keep_left:
        t.end[k] = begin
    elif keep_right:
        t.start[k] = finish
    else:
        # Never the open gap, so there is always one after.
        t.before[t.after[k]] = t.before[k]
        if t.before[k] >= 0:
            t.after[t.before[k]] = t.after[k]
        t.free[t.count[1]] = k
        t.count[1] += 1


@kernel
def _take(t):
    if t.count[1] > 0:
        t.count[1] -= 1
        return t.free[t.count[1]]
    t.count[0] += 1
    return t.count[0] - 1


@kernel
def shortest_to_come(order, times):
    """For each position in ``order`` the least time, on any processor, of a later task (inf at the end)."""
    n = order.size
    shortest = np.empty(n)
    least = np.inf
    for k in range(n - 1, -1, -1):
        shortest[k] = least
        for q in range(times.shape[1]):
            if times[order[k], q] < least:
                least = times[order[k], q]
    return shortest


@kernel
def take(t, q, begin, finish, shortest):
    """Occupy ``begin`` … ``finish`` on q in the gap that holds it.

    A task of no length may stand where no gap is: then there is nothing to take.
    """
    k = whole(t.last[q])
    while k >= 0 and t.start[k] > begin:
        k = whole(t.before[k])
    if k >= 0 and finish <= t.end[k]:
        occupy(t, q, k, begin, finish, shortest)
