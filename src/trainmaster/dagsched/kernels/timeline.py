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

from trainmaster.dagsched.jit import borrower, inner, whole


class Timeline(NamedTuple):
    """Gap lists of p processors, room for ``capacity`` gaps."""

    start: Any
    end: Any
    before: Any
    after: Any
    last: Any
    free: Any
    count: Any


@inner
def empty_timeline(p, capacity):
    """Every processor free from 0 on. ``capacity``: number of tasks to be placed, plus p."""
    start = np.empty(capacity)
    end = np.empty(capacity)
    before = np.empty(capacity, np.int32)
    after = np.empty(capacity, np.int32)
    last = np.empty(p, np.int32)
    free = np.empty(capacity, np.int32)
    # count[0]: nodes ever used; count[1]: nodes on the free stack.
    count = np.empty(whole(2), np.int64)
    count[0] = p
    count[1] = 0
    for q in range(p):
        start[q] = 0.0
        end[q] = np.inf
        before[q] = -1
        after[q] = -1
        last[q] = q
    return Timeline(start, end, before, after, last, free, count)


@borrower
def earliest_gap(gap_start, gap_end, gap_before, k, ready, duration):
    """Of gap k and those before it the one where a task of ``duration`` that is ``ready`` starts first.

    Gap k must have room. Returns (gap, start).
    """
    best = k
    begin = gap_start[k] if gap_start[k] > ready else ready
    k = whole(gap_before[k])
    while k >= 0 and gap_end[k] >= ready + duration:
        s = gap_start[k] if gap_start[k] > ready else ready
        if s + duration <= gap_end[k]:
            best = k
            begin = s
        k = whole(gap_before[k])
    return best, begin


@borrower
def occupy(t, q, k, begin, finish, shortest):
    """Take ``begin`` … ``finish`` out of gap k of q; keep remainders of at least ``shortest`` (> 0)."""
    start, end, before, after = t.start, t.end, t.before, t.after
    free, count = t.free, t.count
    left = begin - start[k]
    right = end[k] - finish
    keep_right = after[k] < 0 or (right > 0 and right >= shortest)
    if left > 0 and left >= shortest:
        if keep_right:
            if count[1] > 0:
                count[1] -= 1
                new = whole(free[count[1]])
            else:
                new = count[0]
                count[0] += 1
            start[new] = finish
            end[new] = end[k]
            before[new] = k
            after[new] = after[k]
            if after[k] >= 0:
                before[after[k]] = new
            else:
                t.last[q] = new
            after[k] = new
        end[k] = begin
    elif keep_right:
        start[k] = finish
    else:
        # Never the open gap, so there is always one after.
        before[after[k]] = before[k]
        if before[k] >= 0:
            after[before[k]] = after[k]
        free[count[1]] = k
        count[1] += 1


@inner
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


@borrower
def take(t, q, begin, finish, shortest):
    """Occupy ``begin`` … ``finish`` on q in the gap that holds it.

    A task of no length may stand where no gap is: then there is nothing to take.
    """
    start, before = t.start, t.before
    k = whole(t.last[q])
    while k >= 0 and start[k] > begin:
        k = whole(before[k])
    if k >= 0 and finish <= t.end[k]:
        occupy(t, q, k, begin, finish, shortest)
