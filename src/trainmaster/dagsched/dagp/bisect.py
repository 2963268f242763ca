"""One acyclic bisection: coarsen, grow a first side, refine on the way back."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.dagp.coarsen import contract, match
from trainmaster.dagsched.dagp.refine import balance, cut_cost, refine
from trainmaster.dagsched.jit import borrower, inner, whole
from trainmaster.dagsched.kernels.ranks import heap_pop, heap_push

SMALLEST = 64
DEEPEST = 24
GROWN_FORWARD, GROWN_BACKWARD, FIRST_IN_ORDER = range(3)


@borrower
def _look_at_edges(succ_ptr, succ, succ_cost, source, pull):
    """Set the source of every edge, and cost of edges out minus cost of edges in for every task."""
    n = succ_ptr.size - 1
    for u in range(n):
        pull[u] = 0.0
    for u in range(n):
        mine = pull[u]
        for e in range(succ_ptr[u], succ_ptr[u + 1]):
            source[e] = u
            mine += succ_cost[e]
            pull[succ[e]] -= succ_cost[e]
        pull[u] = mine


@borrower
def _first_side(g, weight, side, goal, kind, moves):
    """Set ``side`` to a first bisection: grown from the entries (side 0) or from the exits (side 1), or the
    first tasks of the topological order.

    Growing always takes the free task that lowers the cut most, until side 0 holds ``goal`` (side 1 the
    rest). Reads ``moves.pull``; the other arrays of ``moves`` are lent.
    """
    n = weight.size
    load = 0.0
    if kind == FIRST_IN_ORDER:
        for k in range(n):
            u = g.topo[k]
            side[u] = 1
            if load < goal:
                side[u] = 0
                load += weight[u]
        return
    ptr, out, back_ptr = g.succ_ptr, g.succ, g.pred_ptr
    if kind == GROWN_BACKWARD:
        ptr, out, back_ptr = g.pred_ptr, g.pred, g.succ_ptr
    pull, waiting, priority, heap = moves.pull, moves.held, moves.gain, moves.heap
    size = whole(0)
    rest = 0.0
    for u in range(n):
        side[u] = 0 if kind == GROWN_BACKWARD else 1
        priority[u] = pull[u] if kind == GROWN_BACKWARD else -pull[u]
        waiting[u] = back_ptr[u + 1] - back_ptr[u]
        rest += weight[u]
    if kind == GROWN_BACKWARD:
        goal = rest - goal
    for u in range(n):
        if waiting[u] == 0:
            size = heap_push(heap, size, priority, u)
    while size > 0 and load < goal:
        u, size = heap_pop(heap, size, priority)
        side[u] = 1 - side[u]
        load += weight[u]
        for e in range(ptr[u], ptr[u + 1]):
            v = whole(out[e])
            waiting[v] -= 1
            if waiting[v] == 0:
                size = heap_push(heap, size, priority, v)


@inner
def bisect(g, weight, count, most, goal, low, high, fewest0, fewest1, moves, depth):
    """Sides 0 and 1 of every task (n, int8), no edge from 1 to 0; side 0 weighs ``low`` … ``high`` if it can.

    ``count``: tasks that each node stands for; side 0 gets at least ``fewest0`` of them, side 1 ``fewest1``.
    Coarsens (pairs weigh at most ``most``) and bisects the coarser graph, at most ``DEEPEST`` levels down.
    The last level takes the least cut of three first bisections for ``goal`` on side 0. ``moves``: room for n
    tasks and their edges, which the levels use one after another.
    """
    n = weight.size
    side = np.empty(n, np.int8)
    kinds = 3
    if n > SMALLEST and depth + 1 < DEEPEST:
        coarse, coarse_weight, coarse_count, to, acyclic = contract(g, weight, count, match(g, weight, most))
        if acyclic and coarse_weight.size <= 0.95 * n:
            above = bisect(
                coarse, coarse_weight, coarse_count, most, goal, low, high, fewest0, fewest1, moves, depth + 1
            )
            for u in range(n):
                side[u] = above[to[u]]
            kinds = 1
    _look_at_edges(g.succ_ptr, g.succ, g.succ_cost, moves.source, moves.pull)
    best = side
    best_cut = np.inf
    for kind in range(kinds):
        if kinds > 1:
            _first_side(g, weight, side, goal, kind, moves)
        balance(g, weight, count, side, low, high, fewest0, fewest1, moves)
        refine(g, weight, count, side, low, high, fewest0, fewest1, moves)
        if kinds > 1:
            cut = cut_cost(moves.source, g.succ, g.succ_cost, side)
            if cut < best_cut:
                best_cut = cut
                best = side
                side = np.empty(n, np.int8)
    return best
