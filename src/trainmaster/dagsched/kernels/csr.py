"""Building and checking compressed rows: transposition, topological order, groups, one cycle."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.jit import inner, kernel, whole


@kernel
def transpose(succ_ptr, succ, succ_cost):
    """Predecessor rows of successor rows, by counting; every row comes out ascending. O(n + m)."""
    n = succ_ptr.size - 1
    m = succ.size
    ptr = np.empty(n + 1, np.int64)
    for v in range(n + 1):
        ptr[v] = 0
    for e in range(m):
        ptr[succ[e] + 1] += 1
    for v in range(n):
        ptr[v + 1] += ptr[v]
    pred = np.empty(m, np.int32)
    cost = np.empty(m)
    for u in range(n):
        for e in range(succ_ptr[u], succ_ptr[u + 1]):
            k = ptr[succ[e]]
            pred[k] = u
            cost[k] = succ_cost[e]
            ptr[succ[e]] = k + 1
    # Filling has moved every pointer on to where the next row begins.
    for v in range(n, 0, -1):
        ptr[v] = ptr[v - 1]
    ptr[0] = 0
    return ptr, pred, cost


@kernel
def topological_order(succ_ptr, succ, pred_ptr):
    """Kahn's order, first in first out, entries by ascending number. Returns (order, count).

    With a cycle, ``count < n`` and ``order[:count]`` holds the tasks that no cycle holds up.
    """
    n = succ_ptr.size - 1
    waiting = np.empty(n, np.int64)
    order = np.empty(n, np.int32)
    count = 0
    for v in range(n):
        waiting[v] = pred_ptr[v + 1] - pred_ptr[v]
        if waiting[v] == 0:
            order[count] = v
            count += 1
    head = 0
    while head < count:
        u = order[head]
        head += 1
        for e in range(succ_ptr[u], succ_ptr[u + 1]):
            v = succ[e]
            waiting[v] -= 1
            # Written over by the next one if it is not free; while an edge is left, so is a place.
            order[count] = v
            count += waiting[v] == 0
    return order, count


@inner
def grouped(n, group):
    """Pointers (n+1,) and positions in ``group`` by its value, 0 to n − 1, and then in order, by counting."""
    ptr = np.empty(n + 1, np.int64)
    for v in range(n + 1):
        ptr[v] = 0
    for k in range(group.size):
        ptr[group[k] + 1] += 1
    for v in range(n):
        ptr[v + 1] += ptr[v]
    members = np.empty(group.size, np.int64)
    for k in range(group.size):
        at = ptr[group[k]]
        members[at] = k
        ptr[group[k]] = at + 1
    # Filling has moved every pointer on to where the next group begins.
    for v in range(n, 0, -1):
        ptr[v] = ptr[v - 1]
    ptr[0] = 0
    return ptr, members


@kernel
def crossing_rows(g, part, parts):
    """Successor rows of the graph of parts: an edge costs the dearest of those that cross. O(n + m)."""
    pred_ptr, pred, pred_cost = g.pred_ptr, g.pred, g.pred_cost
    first, members = grouped(parts, part)
    slot = np.empty(parts, np.int64)
    for j in range(parts):
        slot[j] = -1
    ptr = np.empty(parts + 1, np.int64)
    source = np.empty(pred.size, np.int32)
    cost = np.empty(pred.size)
    filled = whole(0)
    for j in range(parts):
        begin = filled
        ptr[j] = begin
        for k in range(first[j], first[j + 1]):
            v = members[k]
            for e in range(pred_ptr[v], pred_ptr[v + 1]):
                i = part[pred[e]]
                if i == j:
                    continue
                if slot[i] < begin:
                    slot[i] = filled
                    source[filled] = i
                    cost[filled] = pred_cost[e]
                    filled += 1
                elif pred_cost[e] > cost[slot[i]]:
                    cost[slot[i]] = pred_cost[e]
    ptr[parts] = filled
    # The rows so far are of predecessors; turned round they also rise.
    return transpose(ptr, source[:filled], cost[:filled])


@kernel
def one_cycle(pred_ptr, pred, done):
    """A cycle among the tasks where ``done`` is False, each of which has such a predecessor.

    Walks predecessors until a task repeats; the result lists the cycle in the direction of its edges.
    """
    n = done.size
    seen = np.full(n, -1, np.int64)
    path = np.empty(n, np.int32)
    v = 0
    while done[v]:
        v += 1
    k = 0
    while seen[v] < 0:
        seen[v] = k
        path[k] = v
        k += 1
        for e in range(pred_ptr[v], pred_ptr[v + 1]):
            if not done[pred[e]]:
                v = pred[e]
                break
    return path[seen[v] : k][::-1].copy()
