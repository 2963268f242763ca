"""The first stage of TDCA: favourite processors, critical parents and chains of tasks."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.jit import kernel

BY_START = 0
BY_COMPLETION = 1
BY_LOAD = 2


@kernel
def earliest_completions(g, times, p):
    """ect(i, q) (n, p) with free processors: est is the latest parent, each from its best processor.

    est(i, q) = max over parents j of min over r of ect(j, r) + cost (0 if r = q). O(m p).
    """
    n = times.shape[0]
    het = 1 if times.shape[1] > 1 else 0
    ect = np.zeros((n, p))
    least = np.empty(n)
    for k in range(n):
        v = g.topo[k]
        for e in range(g.pred_ptr[v], g.pred_ptr[v + 1]):
            u = g.pred[e]
            away = least[u] + g.pred_cost[e]
            for q in range(p):
                at = ect[u, q] if ect[u, q] < away else away
                if at > ect[v, q]:
                    ect[v, q] = at
        least[v] = np.inf
        for q in range(p):
            ect[v, q] += times[v, q * het]
            if ect[v, q] < least[v]:
                least[v] = ect[v, q]
    return ect


@kernel
def critical_parents(g, ect):
    """cpred (n, int32): the parent whose data arrive last when all sit on their favourites; −1 for entries.

    Ties, which are the rule on identical processors, to the dearest edge, then the lower task.
    """
    n = ect.shape[0]
    favourite = np.empty(n, np.int32)
    for v in range(n):
        favourite[v] = np.argmin(ect[v])
    cpred = np.full(n, -1, np.int32)
    for v in range(n):
        latest = -1.0
        dearest = -1.0
        for e in range(g.pred_ptr[v], g.pred_ptr[v + 1]):
            u = g.pred[e]
            at = ect[u, favourite[u]]
            if favourite[u] != favourite[v]:
                at += g.pred_cost[e]
            if at > latest or (at == latest and g.pred_cost[e] > dearest):
                latest = at
                dearest = g.pred_cost[e]
                cpred[v] = u
    return cpred


@kernel
def chains(g, ect, cpred, from_exits):
    """Chains of tasks on processors: rows of ``member`` (p, n, bool), and whether each task is in one.

    ``from_exits``: the tasks by rising b-level. Each unassigned task opens the next free of its favourite
    processors and climbs: a sole parent always comes along, assigned or not; else the critical parent j,
    unless it is assigned or ect(j, q) > ect(j, best) + cost, then the unassigned parent k of least
    ect(k, q) that meets ect(k, q) ≤ ect(k, best) + cost; if there is none the chain ends. Stops when no
    processor is free.
    """
    n, p = ect.shape
    assigned = np.zeros(n, np.bool_)
    member = np.zeros((p, n), np.bool_)
    idle = p
    taken = np.zeros(p, np.bool_)
    for position in range(n):
        v = from_exits[position]
        if assigned[v]:
            continue
        if idle == 0:
            break
        q = -1
        for r in range(p):
            if not taken[r] and (q < 0 or ect[v, r] < ect[v, q]):
                q = r
        taken[q] = True
        idle -= 1
        while True:
            assigned[v] = True
            member[q, v] = True
            lo = g.pred_ptr[v]
            hi = g.pred_ptr[v + 1]
            if lo == hi:
                break
            following = -1
            if hi - lo == 1:
                following = g.pred[lo]
            else:
                j = cpred[v]
                for e in range(lo, hi):
                    if g.pred[e] == j and not assigned[j] and ect[j, q] <= ect[j].min() + g.pred_cost[e]:
                        following = j
                if following < 0:
                    for e in range(lo, hi):
                        k = g.pred[e]
                        if (
                            not assigned[k]
                            and ect[k, q] <= ect[k].min() + g.pred_cost[e]
                            and (following < 0 or ect[k, q] < ect[following, q])
                        ):
                            following = k
            if following < 0:
                break
            v = following
    return member, assigned


@kernel
def assign_leftovers(g, order, times, member, assigned, rule):
    """Give every task that is in no chain a processor, simulating the lists in ``order`` as they grow.

    ``rule``: 0 the processor of least start, 1 of least run-time completion rct (start + time), 2 of least
    load (completion of what is there); ties to the lower processor. Changes ``member``.
    """
    n = order.size
    p = member.shape[0]
    het = 1 if times.shape[1] > 1 else 0
    free = np.zeros(p)
    finish = np.full((n, p), np.inf)
    least = np.full(n, np.inf)
    for position in range(n):
        v = order[position]
        best = -1
        best_key = np.inf
        best_begin = 0.0
        for q in range(p):
            if assigned[v] and not member[q, v]:
                continue
            begin = free[q]
            for e in range(g.pred_ptr[v], g.pred_ptr[v + 1]):
                u = g.pred[e]
                at = least[u] + g.pred_cost[e]
                if finish[u, q] < at:
                    at = finish[u, q]
                if at > begin:
                    begin = at
            if assigned[v]:
                free[q] = begin + times[v, q * het]
                finish[v, q] = free[q]
                if free[q] < least[v]:
                    least[v] = free[q]
                continue
            key = begin
            if rule == 1:
                key += times[v, q * het]
            elif rule == 2:
                key = free[q]
            if key < best_key:
                best_key = key
                best = q
                best_begin = begin
        if not assigned[v]:
            member[best, v] = True
            free[best] = best_begin + times[v, best * het]
            finish[v, best] = free[best]
            least[v] = free[best]
