"""Coarsening that keeps a graph acyclic: matching along edges between neighbouring layers.

Layers are longest paths in edges. Only edges from layer t to t + 1 are contracted; such an edge is the only
path between its ends. Entering a matched pair at its lower task and leaving at its upper one climbs one
layer, every edge descends at least one, so a cycle in the contracted graph can only run through pairs of
the same two layers, from one pair's upper task to the next pair's lower one. A short search for exactly
that decides whether a pair may be formed (Herrmann et al., SIAM J. Sci. Comput. 41, 2019, section 4.1:
levels that differ by at most one, and the cycle search of CoCyc).
"""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.jit import kernel, whole
from trainmaster.dagsched.kernels.arrays import Arrays
from trainmaster.dagsched.kernels.csr import topological_order, transpose
from trainmaster.dagsched.kernels.ranks import hop_levels

SEARCH = 64


@kernel
def _would_close(g, level, mate, upper, lower, stack, seen, stamp):
    """Whether matching (upper, lower) closes a cycle through pairs of these layers; True if unsure."""
    size = 1
    stack[0] = upper
    seen[upper] = stamp
    steps = 0
    while size > 0:
        size -= 1
        a = stack[size]
        for e in range(g.succ_ptr[a], g.succ_ptr[a + 1]):
            b = g.succ[e]
            if level[b] != level[upper] + 1:
                continue
            if b == lower:
                if a != upper:
                    return True
                continue
            above = mate[b]
            if above >= 0 and level[above] == level[upper] and seen[above] != stamp:
                steps += 1
                if steps > SEARCH:
                    return True
                seen[above] = stamp
                stack[size] = above
                size += 1
    return False


@kernel
def match(g, weight, most):
    """For each task its partner or −1 (n, int32): heaviest edges first from each task, in topological order.

    A pair weighs at most ``most``. Ties: the first edge.
    """
    n = weight.size
    level = hop_levels(g)
    mate = np.full(n, -1, np.int32)
    stack = np.empty(SEARCH + 2, np.int32)
    seen = np.full(n, -1, np.int64)
    stamp = 0
    for k in range(n):
        u = g.topo[k]
        if mate[u] >= 0:
            continue
        tried = np.inf
        # The best feasible edge: try by falling cost, at most four.
        for _ in range(4):
            best = whole(-1)
            best_cost = -1.0
            for e in range(g.succ_ptr[u], g.succ_ptr[u + 1]):
                v = g.succ[e]
                if (
                    mate[v] < 0
                    and level[v] == level[u] + 1
                    and g.succ_cost[e] > best_cost
                    and g.succ_cost[e] < tried
                    and weight[u] + weight[v] <= most
                ):
                    best = whole(v)
                    best_cost = g.succ_cost[e]
            if best < 0:
                break
            tried = best_cost
            stamp += 1
            if not _would_close(g, level, mate, u, best, stack, seen, stamp):
                mate[u] = best
                mate[best] = u
                break
    return mate


@kernel
def contract(g, weight, count, mate):
    """The graph of pairs and single tasks: its arrays, weights, task counts and the map to it.

    Parallel edges become one of summed cost. The last result is False if a cycle came out (it never
    should), so that the caller can stay on the finer graph.
    """
    n = weight.size
    to = np.full(n, -1, np.int32)
    size = 0
    for k in range(n):
        u = g.topo[k]
        if to[u] < 0:
            to[u] = size
            if mate[u] >= 0:
                to[mate[u]] = size
            size += 1
    members = np.full((size, 2), -1, np.int32)
    new_weight = np.zeros(size)
    new_count = np.zeros(size, np.int64)
    for u in range(n):
        k = to[u]
        if members[k, 0] < 0:
            members[k, 0] = u
        else:
            members[k, 1] = u
        new_weight[k] += weight[u]
        new_count[k] += count[u]
    ptr = np.zeros(size + 1, np.int64)
    succ = np.empty(g.succ.size, np.int32)
    cost = np.empty(g.succ.size, np.float64)
    slot = np.full(size, -1, np.int64)
    filled = 0
    for k in range(size):
        begin = filled
        for i in range(2):
            u = members[k, i]
            if u < 0:
                continue
            for e in range(g.succ_ptr[u], g.succ_ptr[u + 1]):
                j = to[g.succ[e]]
                if j == k:
                    continue
                if slot[j] >= begin:
                    cost[slot[j]] += g.succ_cost[e]
                else:
                    slot[j] = filled
                    succ[filled] = j
                    cost[filled] = g.succ_cost[e]
                    filled += 1
        ptr[k + 1] = filled
    succ = succ[:filled].copy()
    cost = cost[:filled].copy()
    pred_ptr, pred, pred_cost = transpose(ptr, succ, cost)
    topo, reached = topological_order(ptr, succ, pred_ptr)
    coarse = Arrays(ptr, succ, cost, pred_ptr, pred, pred_cost, topo)
    return coarse, new_weight, new_count, to, reached == size
