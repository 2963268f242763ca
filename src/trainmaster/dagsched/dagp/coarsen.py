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

from trainmaster.dagsched.jit import borrower, inner, whole
from trainmaster.dagsched.kernels.arrays import Arrays
from trainmaster.dagsched.kernels.csr import topological_order, transpose
from trainmaster.dagsched.kernels.ranks import hop_levels

SEARCH = 64


@borrower
def _would_close(succ_ptr, succ, level, mate, upper, lower, stack, seen, stamp):
    """Whether matching (upper, lower) closes a cycle through pairs of these layers; True if unsure."""
    size = whole(1)
    stack[0] = upper
    seen[upper] = stamp
    steps = 0
    layer = level[upper]
    while size > 0:
        size -= 1
        a = stack[size]
        for e in range(succ_ptr[a], succ_ptr[a + 1]):
            b = succ[e]
            if level[b] != layer + 1:
                continue
            if b == lower:
                if a != upper:
                    return True
                continue
            above = mate[b]
            if above >= 0 and level[above] == layer and seen[above] != stamp:
                steps += 1
                if steps > SEARCH:
                    return True
                seen[above] = stamp
                stack[size] = above
                size += 1
    return False


@inner
def match(g, weight, most):
    """For each task its partner or −1 (n, int32): heaviest edges first from each task, in topological order.

    A pair weighs at most ``most``. Ties: the first edge.
    """
    n = weight.size
    topo, succ_ptr, succ, succ_cost = g.topo, g.succ_ptr, g.succ, g.succ_cost
    level = hop_levels(g)
    mate = np.empty(n, np.int32)
    seen = np.empty(n, np.int64)
    for v in range(n):
        mate[v] = -1
        seen[v] = -1
    stack = np.empty(whole(SEARCH + 2), np.int32)
    stamp = 0
    for k in range(n):
        u = topo[k]
        if mate[u] >= 0:
            continue
        tried = np.inf
        below = level[u] + 1
        mine = weight[u]
        # The best feasible edge: try by falling cost, at most four.
        for _ in range(4):
            best = whole(-1)
            best_cost = -1.0
            taken = False
            for e in range(succ_ptr[u], succ_ptr[u + 1]):
                v = succ[e]
                cost = succ_cost[e]
                taken |= mate[v] >= 0
                free = (mate[v] < 0) & (level[v] == below) & (mine + weight[v] <= most)
                if free & (cost > best_cost) & (cost < tried):
                    best = whole(v)
                    best_cost = cost
            if best < 0:
                break
            tried = best_cost
            stamp += 1
            # A cycle leaves u by a child that is matched.
            if not taken or not _would_close(succ_ptr, succ, level, mate, u, best, stack, seen, stamp):
                mate[u] = best
                mate[best] = u
                break
    return mate


@inner
def contract(g, weight, count, mate):
    """The graph of pairs and single tasks: its arrays, weights, task counts and the map to it.

    Parallel edges become one of summed cost. The last result is False if a cycle came out (it never
    should), so that the caller can stay on the finer graph.
    """
    n = weight.size
    topo, succ_ptr, succ, succ_cost = g.topo, g.succ_ptr, g.succ, g.succ_cost
    to = np.empty(n, np.int32)
    for u in range(n):
        to[u] = -1
    size = whole(0)
    for k in range(n):
        u = topo[k]
        if to[u] < 0:
            to[u] = size
            if mate[u] >= 0:
                to[mate[u]] = size
            size += 1
    # The lower task of each pair.
    lower = np.empty(size, np.int32)
    new_weight = np.empty(size)
    new_count = np.empty(size, np.int64)
    slot = np.empty(size, np.int64)
    for k in range(size):
        new_weight[k] = 0.0
        new_count[k] = 0
        slot[k] = -1
    for u in range(n - 1, -1, -1):
        lower[to[u]] = u
    for u in range(n):
        new_weight[to[u]] += weight[u]
        new_count[to[u]] += count[u]
    new_ptr = np.empty(size + 1, np.int64)
    new_succ = np.empty(succ.size, np.int32)
    cost = np.empty(succ.size)
    filled = whole(0)
    for k in range(size):
        begin = filled
        new_ptr[k] = begin
        u = whole(lower[k])
        while u >= 0:
            for e in range(succ_ptr[u], succ_ptr[u + 1]):
                j = to[succ[e]]
                if j == k:
                    continue
                # No branch, as nobody can guess which targets come twice.
                new = slot[j] < begin
                at = filled if new else slot[j]
                so_far = cost[at]
                cost[at] = (0.0 if new else so_far) + succ_cost[e]
                new_succ[at] = j
                slot[j] = at
                filled += new
            # From the lower task of a pair on to the higher one, then the end.
            u = whole(mate[u]) if u == lower[k] else whole(-1)
    new_ptr[size] = filled
    new_succ = new_succ[:filled]
    cost = cost[:filled]
    pred_ptr, pred, pred_cost = transpose(new_ptr, new_succ, cost)
    order, reached = topological_order(new_ptr, new_succ, pred_ptr)
    coarse = Arrays(new_ptr, new_succ, cost, pred_ptr, pred, pred_cost, order)
    return coarse, new_weight, new_count, to, reached == size
