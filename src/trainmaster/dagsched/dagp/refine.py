"""Moving tasks across an acyclic bisection: balance, then Fiduccia–Mattheyses with acyclic moves.

All edges run within a side or from side 0 to side 1. A task may cross from 0 when no child of it is on
side 0, from 1 when no parent of it is on side 1. Then all its outer edges are on one known side, so its gain
does not depend on the rest: cost out − cost in when leaving 0, the opposite when leaving 1.
"""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.jit import kernel
from trainmaster.dagsched.kernels.ranks import heap_pop, heap_push

PASSES = 8


@kernel
def pulls(g):
    """Cost of edges out minus cost of edges in, for every task (n,)."""
    n = g.topo.size
    pull = np.zeros(n)
    for u in range(n):
        for e in range(g.succ_ptr[u], g.succ_ptr[u + 1]):
            pull[u] += g.succ_cost[e]
            pull[g.succ[e]] -= g.succ_cost[e]
    return pull


@kernel
def cut_cost(g, side):
    """Total cost of edges from side 0 to side 1."""
    cut = 0.0
    for u in range(side.size):
        if side[u] == 0:
            for e in range(g.succ_ptr[u], g.succ_ptr[u + 1]):
                if side[g.succ[e]] == 1:
                    cut += g.succ_cost[e]
    return cut


@kernel
def _blockers(g, side):
    """For each task the neighbours that keep it on its side: children on 0, or parents on 1."""
    held = np.zeros(side.size, np.int64)
    for u in range(side.size):
        for e in range(g.succ_ptr[u], g.succ_ptr[u + 1]):
            v = g.succ[e]
            if side[u] == 0 and side[v] == 0:
                held[u] += 1
            if side[u] == 1 and side[v] == 1:
                held[v] += 1
    return held


@kernel
def _cross(g, side, held, u):
    """Move a free task to the other side and keep ``held`` right."""
    if side[u] == 0:
        side[u] = 1
        held[u] = 0
        for e in range(g.pred_ptr[u], g.pred_ptr[u + 1]):
            held[g.pred[e]] -= 1
        for e in range(g.succ_ptr[u], g.succ_ptr[u + 1]):
            held[g.succ[e]] += 1
    else:
        side[u] = 0
        held[u] = 0
        for e in range(g.succ_ptr[u], g.succ_ptr[u + 1]):
            held[g.succ[e]] -= 1
        for e in range(g.pred_ptr[u], g.pred_ptr[u + 1]):
            held[g.pred[e]] += 1


@kernel
def balance(g, weight, count, side, low, high, fewest0, fewest1):
    """Cross free tasks of best gain until side 0 weighs low … high and the sides hold enough tasks.

    Counts win over weights. At the finest graph both counts can always be met: a side always has a free
    task. Every task crosses at most once, so the loop ends.
    """
    n = side.size
    pull = pulls(g)
    load = 0.0
    have0 = 0
    have1 = 0
    for u in range(n):
        if side[u] == 0:
            load += weight[u]
            have0 += count[u]
        else:
            have1 += count[u]
    leave = -1
    if have0 < fewest0 or (load < low and have1 > fewest1):
        leave = 1
    if have1 < fewest1 or (load > high and have0 > fewest0):
        leave = 0
    if leave < 0:
        return
    held = _blockers(g, side)
    priority = pull if leave == 0 else -pull
    heap = np.empty(n, np.int32)
    size = 0
    for u in range(n):
        if side[u] == leave and held[u] == 0:
            size = heap_push(heap, size, priority, u)
    while size > 0:
        if leave == 0:
            if not (have1 < fewest1 or (load > high and have0 > fewest0)):
                break
        elif not (have0 < fewest0 or (load < low and have1 > fewest1)):
            break
        u, size = heap_pop(heap, size, priority)
        counts_missing = have1 < fewest1 if leave == 0 else have0 < fewest0
        if leave == 0:
            if not counts_missing and have0 - count[u] < fewest0:
                continue
            after = load - weight[u]
            # Past the window on the other side by more than now: leave it.
            if not counts_missing and after < low and low - after > load - high:
                continue
            have0 -= count[u]
            have1 += count[u]
            load = after
        else:
            if not counts_missing and have1 - count[u] < fewest1:
                continue
            after = load + weight[u]
            if not counts_missing and after > high and after - high > low - load:
                continue
            have1 -= count[u]
            have0 += count[u]
            load = after
        _cross(g, side, held, u)
        if leave == 0:
            for e in range(g.pred_ptr[u], g.pred_ptr[u + 1]):
                v = g.pred[e]
                if side[v] == 0 and held[v] == 0:
                    size = heap_push(heap, size, priority, v)
        else:
            for e in range(g.succ_ptr[u], g.succ_ptr[u + 1]):
                v = g.succ[e]
                if side[v] == 1 and held[v] == 0:
                    size = heap_push(heap, size, priority, v)


@kernel
def refine(g, weight, count, side, low, high, fewest0, fewest1):
    """Passes of single moves, best gain first, each task at most once a pass; keep the best prefix.

    A move must leave side 0 within low … high, or closer to it than before, and both sides enough tasks.
    At most eight passes; a pass gives up after 64 + n/8 moves without a new best. Ties: lower task.
    """
    n = side.size
    pull = pulls(g)
    gain = np.empty(n)
    heap = np.empty(n, np.int32)
    stamped = np.zeros(n, np.bool_)
    trail = np.empty(n, np.int32)
    later = np.empty(n, np.int32)
    for _ in range(PASSES):
        held = _blockers(g, side)
        load = 0.0
        have0 = 0
        have1 = 0
        size = 0
        for u in range(n):
            gain[u] = pull[u] if side[u] == 0 else -pull[u]
            stamped[u] = False
            if side[u] == 0:
                load += weight[u]
                have0 += count[u]
            else:
                have1 += count[u]
        for u in range(n):
            if held[u] == 0:
                stamped[u] = True
                size = heap_push(heap, size, gain, u)
        total = 0.0
        best = 0.0
        moves = 0
        kept = 0
        while size > 0 and moves - kept < 64 + n // 8:
            u, size = heap_pop(heap, size, gain)
            if held[u] != 0:
                # Locked in again since it was pushed; it comes back when it is free.
                stamped[u] = False
                continue
            change = -weight[u] if side[u] == 0 else weight[u]
            after = load + change
            worse = max(low - after, after - high, 0.0)
            now = max(low - load, load - high, 0.0)
            if side[u] == 0:
                enough = have0 - count[u] >= fewest0
            else:
                enough = have1 - count[u] >= fewest1
            if not enough or (worse > 0.0 and worse >= now):
                continue
            if side[u] == 0:
                have0 -= count[u]
                have1 += count[u]
            else:
                have1 -= count[u]
                have0 += count[u]
            load = after
            total += gain[u]
            _cross(g, side, held, u)
            trail[moves] = u
            moves += 1
            if total > best + 1e-12 * abs(best):
                best = total
                kept = moves
            fresh = 0
            for e in range(g.pred_ptr[u], g.pred_ptr[u + 1]):
                later[fresh] = g.pred[e]
                fresh += 1
            for i in range(fresh):
                v = later[i]
                if held[v] == 0 and not stamped[v]:
                    stamped[v] = True
                    size = heap_push(heap, size, gain, v)
            for e in range(g.succ_ptr[u], g.succ_ptr[u + 1]):
                v = g.succ[e]
                if held[v] == 0 and not stamped[v]:
                    stamped[v] = True
                    size = heap_push(heap, size, gain, v)
        for k in range(moves - 1, kept - 1, -1):
            _cross(g, side, held, trail[k])
        if best <= 0.0:
            break
