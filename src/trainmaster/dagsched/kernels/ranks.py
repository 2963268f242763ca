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

from trainmaster.dagsched.jit import borrower, kernel, whole
from trainmaster.dagsched.kernels.arrays import Arrays


@kernel
def b_levels(g, work, communication):
    """B-levels (n, float64); ``communication`` scales edge costs (0 gives static levels). O(n + m)."""
    n = work.size
    topo, succ_ptr, succ, succ_cost = g.topo, g.succ_ptr, g.succ, g.succ_cost
    level = np.empty(n)
    for k in range(n - 1, -1, -1):
        u = topo[k]
        longest = 0.0
        for e in range(succ_ptr[u], succ_ptr[u + 1]):
            through = communication * succ_cost[e] + level[succ[e]]
            if through > longest:
                longest = through
        level[u] = work[u] + longest
    return level


@kernel
def t_levels(g, work, communication):
    """T-levels (n, float64); ``communication`` scales edge costs. O(n + m)."""
    n = work.size
    topo, pred_ptr, pred, pred_cost = g.topo, g.pred_ptr, g.pred, g.pred_cost
    level = np.empty(n)
    for k in range(n):
        v = topo[k]
        longest = 0.0
        for e in range(pred_ptr[v], pred_ptr[v + 1]):
            u = pred[e]
            through = level[u] + work[u] + communication * pred_cost[e]
            if through > longest:
                longest = through
        level[v] = longest
    return level


@kernel
def hop_levels(g):
    """Number of edges on the longest path from an entry (n, int64): the layer of each task. O(n + m)."""
    topo, pred_ptr, pred = g.topo, g.pred_ptr, g.pred
    level = np.empty(topo.size, np.int64)
    for k in range(topo.size):
        v = topo[k]
        deepest = whole(-1)
        for e in range(pred_ptr[v], pred_ptr[v + 1]):
            deepest = max(deepest, level[pred[e]])
        level[v] = deepest + 1
    return level


def descending(g: Arrays, level: Any) -> Any:
    """Tasks by falling ``level``, ties by topological position.

    A topological order whenever ``level`` never rises along an edge, as with b-levels and static levels.
    """
    return g.topo[np.argsort(-level[g.topo], kind="stable")]


@borrower
def heap_push(heap, size, priority, v):
    """Push ``v`` on a binary heap of tasks, highest priority first, ties to the lower number.

    ``v`` is an int64: another type would compile this once more.
    """
    hole = size
    while hole > 0:
        above = (hole - 1) >> 1
        u = heap[above]
        if priority[u] > priority[v] or (priority[u] == priority[v] and u < v):
            break
        heap[hole] = u
        hole = above
    heap[hole] = v
    return size + 1


@borrower
def heap_pop(heap, size, priority):
    """Take the first task off the heap. Returns (task, new size)."""
    top = whole(heap[0])
    size -= 1
    v = heap[size]
    hole = whole(0)
    child = whole(1)
    while child < size:
        u = heap[child]
        if child + 1 < size:
            w = heap[child + 1]
            # A sum, as nobody can guess which child it is.
            child += (priority[w] > priority[u]) | ((priority[w] == priority[u]) & (w < u))
            u = heap[child]
        if priority[v] > priority[u] or (priority[v] == priority[u] and v < u):
            break
        heap[hole] = u
        hole = child
        child = 2 * hole + 1
    heap[hole] = v
    return top, size


@kernel
def priority_order(g, priority):
    """The topological order that always takes the ready task of highest ``priority`` (ties: lower number).

    Any real priorities will do. O(n log n + m).
    """
    n = priority.size
    pred_ptr, succ_ptr, succ = g.pred_ptr, g.succ_ptr, g.succ
    waiting = np.empty(n, np.int64)
    heap = np.empty(n, np.int32)
    order = np.empty(n, np.int32)
    size = whole(0)
    for v in range(n):
        waiting[v] = pred_ptr[v + 1] - pred_ptr[v]
        if waiting[v] == 0:
            size = heap_push(heap, size, priority, v)
    for k in range(n):
        u, size = heap_pop(heap, size, priority)
        order[k] = u
        for e in range(succ_ptr[u], succ_ptr[u + 1]):
            v = whole(succ[e])
            waiting[v] -= 1
            if waiting[v] == 0:
                size = heap_push(heap, size, priority, v)
    return order
