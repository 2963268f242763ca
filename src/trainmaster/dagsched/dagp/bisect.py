"""One acyclic bisection: coarsen, grow a first side, refine on the way back."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.dagp.coarsen import contract, match
from trainmaster.dagsched.dagp.refine import balance, cut_cost, pulls, refine
from trainmaster.dagsched.jit import kernel, whole
from trainmaster.dagsched.kernels.ranks import heap_pop, heap_push

SMALLEST = 64
DEEPEST = 24


@kernel
def grow(g, weight, goal, forward):
    """A first side by greedy growing: from the entries (side 0) or, not ``forward``, from the exits (side 1).

    Always the free task that lowers the cut most, until side 0 holds ``goal`` (side 1 the rest).
    """
    n = weight.size
    side = np.empty(n, np.int8)
    pull = pulls(g)
    waiting = np.empty(n, np.int64)
    heap = np.empty(n, np.int32)
    size = whole(0)
    load = 0.0
    if forward:
        for u in range(n):
            side[u] = 1
        priority = -pull
        for u in range(n):
            waiting[u] = g.pred_ptr[u + 1] - g.pred_ptr[u]
            if waiting[u] == 0:
                size = heap_push(heap, size, priority, u)
        while size > 0 and load < goal:
            u, size = heap_pop(heap, size, priority)
            side[u] = 0
            load += weight[u]
            for e in range(g.succ_ptr[u], g.succ_ptr[u + 1]):
                waiting[g.succ[e]] -= 1
                if waiting[g.succ[e]] == 0:
                    size = heap_push(heap, size, priority, g.succ[e])
    else:
        for u in range(n):
            side[u] = 0
        rest = weight.sum() - goal
        for u in range(n):
            waiting[u] = g.succ_ptr[u + 1] - g.succ_ptr[u]
            if waiting[u] == 0:
                size = heap_push(heap, size, pull, u)
        while size > 0 and load < rest:
            u, size = heap_pop(heap, size, pull)
            side[u] = 1
            load += weight[u]
            for e in range(g.pred_ptr[u], g.pred_ptr[u + 1]):
                waiting[g.pred[e]] -= 1
                if waiting[g.pred[e]] == 0:
                    size = heap_push(heap, size, pull, g.pred[e])
    return side


@kernel
def _settle(g, weight, count, side, low, high, fewest0, fewest1):
    balance(g, weight, count, side, low, high, fewest0, fewest1)
    refine(g, weight, count, side, low, high, fewest0, fewest1)


@kernel
def bisect(g, weight, share, fewest0, fewest1, imbalance):
    """Sides 0 and 1 of every task (n, int8), no edge from 1 to 0, side 0 near ``share`` of the weight.

    Side 0 gets at least ``fewest0`` tasks, side 1 ``fewest1``. Within ``imbalance`` of the share where the
    weights allow it. The least cut of three first sides: grown forward, grown backward, a prefix of the
    topological order.
    """
    n = weight.size
    count = np.ones(n, np.int64)
    total = weight.sum()
    low = total * max(0.0, 1.0 - (1.0 - share) * imbalance)
    high = total * min(1.0, share * imbalance)
    graphs = [g]
    weights = [weight]
    counts = [count]
    maps = [np.empty(0, np.int32)]
    while weights[-1].size > SMALLEST and len(graphs) < DEEPEST:
        mate = match(graphs[-1], weights[-1], total / 8)
        coarse, coarse_weight, coarse_count, to, acyclic = contract(graphs[-1], weights[-1], counts[-1], mate)
        if not acyclic or coarse_weight.size > 0.95 * weights[-1].size:
            break
        graphs.append(coarse)
        weights.append(coarse_weight)
        counts.append(coarse_count)
        maps.append(to)
    last = len(graphs) - 1
    top = graphs[last]
    best = np.empty(0, np.int8)
    best_cut = np.inf
    for kind in range(3):
        if kind < 2:
            side = grow(top, weights[last], total * share, kind == 0)
        else:
            side = np.ones(weights[last].size, np.int8)
            load = 0.0
            for k in range(side.size):
                if load >= total * share:
                    break
                side[top.topo[k]] = 0
                load += weights[last][top.topo[k]]
        _settle(top, weights[last], counts[last], side, low, high, fewest0, fewest1)
        cut = cut_cost(top, side)
        if cut < best_cut:
            best_cut = cut
            best = side
    for depth in range(last, 0, -1):
        finer = np.empty(weights[depth - 1].size, np.int8)
        for u in range(finer.size):
            finer[u] = best[maps[depth][u]]
        best = finer
        _settle(graphs[depth - 1], weights[depth - 1], counts[depth - 1], best, low, high, fewest0, fewest1)
    return best
