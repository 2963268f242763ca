"""Moving tasks across an acyclic bisection: balance, then Fiduccia–Mattheyses with acyclic moves.

All edges run within a side or from side 0 to side 1. A task may cross from 0 when no child of it is on
side 0, from 1 when no parent of it is on side 1. Then all its outer edges are on one known side, so its gain
does not depend on the rest: cost out − cost in when leaving 0 (its *pull*), the opposite when leaving 1.
"""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from trainmaster.dagsched.jit import borrower, inner, whole
from trainmaster.dagsched.kernels.ranks import heap_pop, heap_push

PASSES = 8


class Moves(NamedTuple):
    """What the levels of a bisection lend each other: by edge or by task, as long as the longest needs.

    ``source``: where each edge begins, by place in ``succ``. ``pull``: cost of edges out minus cost of edges
    in. ``held``: the neighbours that keep a task on its side (children on 0, parents on 1), true to ``side``
    from ``balance`` on. ``gain``: by how much the cut falls if it crosses. ``pushed``: whether it has been on
    the ``heap`` of free tasks. ``trail``: the tasks that crossed.
    """

    source: Any
    pull: Any
    held: Any
    gain: Any
    pushed: Any
    heap: Any
    trail: Any


@inner
def room_for_moves(n, m):
    """Uninitialised, for n tasks and m edges."""
    return Moves(
        np.empty(m, np.int32),
        np.empty(n),
        np.empty(n, np.int64),
        np.empty(n),
        np.empty(n, np.bool_),
        np.empty(n, np.int32),
        np.empty(n, np.int32),
    )


@borrower
def cut_cost(source, succ, succ_cost, side):
    """Total cost of edges from side 0 to side 1."""
    cut = 0.0
    for e in range(succ.size):
        cut += succ_cost[e] * (side[succ[e]] - side[source[e]])
    return cut


@borrower
def _count_held(source, succ, side, held):
    """Count what keeps every task on its side."""
    for u in range(side.size):
        held[u] = 0
    for e in range(succ.size):
        u = source[e]
        v = succ[e]
        held[v if side[u] else u] += side[u] == side[v]


@borrower
def _push_free(pull, side, leave, held, gain, pushed, heap):
    """Start a pass over the tasks of side ``leave`` (of both, if it is −1). Returns the size of the heap."""
    size = whole(0)
    for u in range(side.size):
        gain[u] = pull[u] * (1 - 2 * side[u])
        pushed[u] = held[u] == 0
        if pushed[u] and (leave < 0 or side[u] == leave):
            size = heap_push(heap, size, gain, u)
    return size


@borrower
def _cross(succ_ptr, succ, pred_ptr, pred, side, u, held, gain, pushed, heap, size):
    """Move a free task to the other side and push what it was the last to keep. Returns the heap's size.

    Takes single arrays: handing over tuples of them costs more than the move.
    """
    # Leaving side 0 it frees its parents and holds its children, leaving side 1 the other way round.
    step = whole(1 - 2 * side[u])
    side[u] = 1 - side[u]
    for e in range(succ_ptr[u], succ_ptr[u + 1]):
        v = whole(succ[e])
        held[v] += step
        if held[v] == 0 and not pushed[v]:
            pushed[v] = True
            size = heap_push(heap, size, gain, v)
    for e in range(pred_ptr[u], pred_ptr[u + 1]):
        v = whole(pred[e])
        held[v] -= step
        if held[v] == 0 and not pushed[v]:
            pushed[v] = True
            size = heap_push(heap, size, gain, v)
    return size


@borrower
def _loads(weight, count, side):
    """Weight of side 0, and tasks that the nodes of side 0 and of side 1 stand for."""
    load = 0.0
    have0 = whole(0)
    have1 = whole(0)
    for u in range(side.size):
        load += weight[u] * (1 - side[u])
        have0 += count[u] * (1 - side[u])
        have1 += count[u] * side[u]
    return load, have0, have1


@borrower
def balance(g, weight, count, side, low, high, fewest0, fewest1, moves):
    """Cross free tasks of best gain until side 0 weighs low … high and the sides hold enough tasks.

    Counts win over weights. At the finest graph both counts can always be met: a side always has a free
    task. Every task crosses at most once, so the loop ends. Sets up ``moves.held``.
    """
    succ_ptr, succ, pred_ptr, pred = g.succ_ptr, g.succ, g.pred_ptr, g.pred
    pull, held, gain, pushed, heap = moves.pull, moves.held, moves.gain, moves.pushed, moves.heap
    _count_held(moves.source, succ, side, held)
    load, have0, have1 = _loads(weight, count, side)
    leave = whole(-1)
    here, there, fewest_here, fewest_there = have1, have0, fewest1, fewest0
    if have0 < fewest0 or (load < low and have1 > fewest1):
        leave = whole(1)
    if have1 < fewest1 or (load > high and have0 > fewest0):
        leave = whole(0)
        here, there, fewest_here, fewest_there = have0, have1, fewest0, fewest1
    if leave < 0:
        return
    size = _push_free(pull, side, leave, held, gain, pushed, heap)
    while size > 0:
        missing = there < fewest_there
        over = load - high if leave == 0 else low - load
        if not missing and (over <= 0.0 or here <= fewest_here):
            break
        u, size = heap_pop(heap, size, gain)
        after = load - weight[u] if leave == 0 else load + weight[u]
        past = low - after if leave == 0 else after - high
        # Past the window on the other side by more than now: leave it.
        if not missing and (here - count[u] < fewest_here or (past > 0.0 and past > over)):
            continue
        here -= count[u]
        there += count[u]
        load = after
        size = _cross(succ_ptr, succ, pred_ptr, pred, side, u, held, gain, pushed, heap, size)


@borrower
def refine(g, weight, count, side, low, high, fewest0, fewest1, moves):
    """Passes of single moves, best gain first, each task at most once a pass; keep the best prefix.

    A move must leave side 0 within low … high, or closer to it than before, and both sides enough tasks.
    At most eight passes; a pass gives up after 64 + n/8 moves without a new best. Ties: lower task. Takes
    ``moves.held`` as ``balance`` leaves it.
    """
    succ_ptr, succ, pred_ptr, pred = g.succ_ptr, g.succ, g.pred_ptr, g.pred
    pull, held, gain, pushed, heap = moves.pull, moves.held, moves.gain, moves.pushed, moves.heap
    trail = moves.trail
    n = side.size
    for _ in range(PASSES):
        load, have0, have1 = _loads(weight, count, side)
        size = _push_free(pull, side, whole(-1), held, gain, pushed, heap)
        total = 0.0
        best = 0.0
        made = 0
        kept = 0
        while size > 0 and made - kept < 64 + n // 8:
            u, size = heap_pop(heap, size, gain)
            if held[u] != 0:
                # Locked in again since it was pushed; it comes back when it is free.
                pushed[u] = False
                continue
            if side[u] == 0:
                step = -count[u]
                after = load - weight[u]
                enough = have0 + step >= fewest0
            else:
                step = count[u]
                after = load + weight[u]
                enough = have1 - step >= fewest1
            # How far side 0 would be outside its window, if that is above zero.
            outside = max(low - after, after - high)
            if not enough or (outside > 0.0 and outside >= max(low - load, load - high)):
                continue
            have0 += step
            have1 -= step
            load = after
            total += gain[u]
            size = _cross(succ_ptr, succ, pred_ptr, pred, side, u, held, gain, pushed, heap, size)
            trail[made] = u
            made += 1
            if total > best + 1e-12 * abs(best):
                best = total
                kept = made
        if best <= 0.0:
            for k in range(made):
                side[trail[k]] = 1 - side[trail[k]]
            break
        # Back to the best prefix, last move first, so that each task is free when it returns. What is pushed
        # on the way falls with the heap.
        for k in range(made - 1, kept - 1, -1):
            u = whole(trail[k])
            size = _cross(succ_ptr, succ, pred_ptr, pred, side, u, held, gain, pushed, heap, size)
