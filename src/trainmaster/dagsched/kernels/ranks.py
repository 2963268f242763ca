"""Levels of tasks and the orders made from them.

Names as in Kwok & Ahmad, ACM Computing Surveys 31 (1999): the *b-level* of a task is the longest path
from it to an exit, its own time included; the *t-level* the longest path from an entry, its own time
excluded; the *static level* is the b-level without communication.
"""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

from typing import Any

import numpy as np

from trainmaster.dagsched.jit import kernel, whole
from trainmaster.dagsched.kernels.arrays import Arrays


@kernel
def b_levels(g, work, communication):
    """B-levels (n, float64); ``communication`` scales edge costs (0 gives static levels). O(n + m)."""
    n = work.size
    level = np.empty(n)
    for k in range(n - 1, -1, -1):
        u = g.topo[k]
        longest = 0.0
        for e in range(g.succ_ptr[u], g.succ_ptr[u + 1]):
            through = communication * g.succ_cost[e] + level[g.succ[e]]
            if through > longest:
                longest = through
        level[u] = work[u] + longest
    return level


@kernel
def t_levels(g, work, communication):
    """T-levels (n, float64); ``communication`` scales edge costs. O(n + m)."""
    n = work.size
    level = np.empty(n)
    for k in range(n):
        v = g.topo[k]
        longest = 0.0
        for e in range(g.pred_ptr[v], g.pred_ptr[v + 1]):
            u = g.pred[e]
            through = level[u] + work[u] + communication * g.pred_cost[e]
            if through > longest:
                longest = through
        level[v] = longest
    return level


@kernel
def hop_levels(g):
    """Number of edges on the longest path from an entry (n, int64): the layer of each task. O(n + m)."""
    n = g.topo.size
    level = np.zeros(n, np.int64)
    for k in range(n):
        v = g.topo[k]
        for e in range(g.pred_ptr[v], g.pred_ptr[v + 1]):
            if level[g.pred[e]] + 1 > level[v]:
                level[v] = level[g.pred[e]] + 1
    return level


def descending(g: Arrays, level: Any) -> Any:
    """Tasks by falling ``level``, ties by topological position.

    A topological order whenever ``level`` never rises along an edge, as with b-levels and static levels.
    """
    return g.topo[np.argsort(-level[g.topo], kind="stable")]


@kernel
def _before(priority, a, b):
    return priority[a] > priority[b] or (priority[a] == priority[b] and a < b)


@kernel
def heap_push(heap, size, priority, v):
    """Push ``v`` on a binary heap of tasks, highest priority first, ties to the lower number."""
    k = size
    while k > 0:
        up = (k - 1) >> 1
        if not _before(priority, v, heap[up]):
            break
        heap[k] = heap[up]
        k = up
    heap[k] = v
    return size + 1


@kernel
def heap_pop(heap, size, priority):
    """Take the first task off the heap. Returns (task, new size)."""
    top = heap[0]
    size -= 1
    v = whole(heap[size])
    k = 0
    while True:
        child = 2 * k + 1
        if child >= size:
            break
        if child + 1 < size and _before(priority, heap[child + 1], heap[child]):
            child += 1
        if not _before(priority, heap[child], v):
            break
        heap[k] = heap[child]
        k = child
    heap[k] = v
    return top, size


@kernel
def priority_order(g, priority):
    """The topological order that always takes the ready task of highest ``priority`` (ties: lower number).

    Any real priorities will do. O(n log n + m).
    """
    n = g.topo.size
    waiting = np.empty(n, np.int64)
    heap = np.empty(n, np.int32)
    order = np.empty(n, np.int32)
    size = whole(0)
    for v in range(n):
        waiting[v] = g.pred_ptr[v + 1] - g.pred_ptr[v]
        if waiting[v] == 0:
            size = heap_push(heap, size, priority, v)
    for k in range(n):
        u, size = heap_pop(heap, size, priority)
        order[k] = u
        for e in range(g.succ_ptr[u], g.succ_ptr[u + 1]):
            v = whole(g.succ[e])
            waiting[v] -= 1
            if waiting[v] == 0:
                size = heap_push(heap, size, priority, v)
    return order
