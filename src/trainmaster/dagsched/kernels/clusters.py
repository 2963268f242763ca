"""The first stage of TDCA: favourite processors, critical parents and chains of tasks."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.jit import kernel, whole

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
    topo, pred_ptr, pred, pred_cost = g.topo, g.pred_ptr, g.pred, g.pred_cost
    ect = np.empty((n, p))
    least = np.empty(n)
    for k in range(n):
        v = topo[k]
        for q in range(p):
            ect[v, q] = 0.0
        for e in range(pred_ptr[v], pred_ptr[v + 1]):
            u = pred[e]
            away = least[u] + pred_cost[e]
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
    """(cpred, least): cpred (n, int32) is the parent whose data arrive last when all sit on their favourites.

    −1 for entries. Ties, which are the rule on identical processors, to the dearest edge, then the lower
    task. ``least`` (n,) is the ect on the favourite processor (ties: the lower one).
    """
    n, p = ect.shape
    pred_ptr, pred, pred_cost = g.pred_ptr, g.pred, g.pred_cost
    favourite = np.empty(n, np.int32)
    least = np.empty(n)
    for v in range(n):
        favourite[v] = 0
        least[v] = ect[v, 0]
        for q in range(1, p):
            if ect[v, q] < least[v]:
                least[v] = ect[v, q]
                favourite[v] = q
    cpred = np.empty(n, np.int32)
    for v in range(n):
        cpred[v] = -1
        latest = -1.0
        dearest = -1.0
        for e in range(pred_ptr[v], pred_ptr[v + 1]):
            u = pred[e]
            at = least[u]
            if favourite[u] != favourite[v]:
                at += pred_cost[e]
            if at > latest or (at == latest and pred_cost[e] > dearest):
                latest = at
                dearest = pred_cost[e]
                cpred[v] = u
    return cpred, least


@kernel
def chains(g, ect, least, cpred, from_exits):
    """Chains of tasks on processors: rows of ``member`` (p, n, bool), and whether each task is in one.

    ``least``, ``cpred`` as ``critical_parents`` gives them; ``from_exits``: the tasks by rising b-level.
    Each unassigned task opens the next free of its favourite processors and climbs: a sole parent always
    comes along, assigned or not; else the critical parent j, unless it is assigned or
    ect(j, q) > ect(j, best) + cost, then the unassigned parent k of least ect(k, q) that meets
    ect(k, q) ≤ ect(k, best) + cost; if there is none the chain ends. Stops when no processor is free.
    """
    n, p = ect.shape
    pred_ptr, pred, pred_cost = g.pred_ptr, g.pred, g.pred_cost
    assigned = np.empty(n, np.bool_)
    member = np.empty((p, n), np.bool_)
    taken = np.empty(p, np.bool_)
    for v in range(n):
        assigned[v] = False
        for q in range(p):
            member[q, v] = False
    for q in range(p):
        taken[q] = False
    idle = p
    for position in range(n):
        v = whole(from_exits[position])
        if assigned[v]:
            continue
        if idle == 0:
            break
        q = whole(-1)
        for r in range(p):
            if not taken[r] and (q < 0 or ect[v, r] < ect[v, q]):
                q = r
        taken[q] = True
        idle -= 1
        while v >= 0:
            assigned[v] = True
            member[q, v] = True
            lo = pred_ptr[v]
            hi = pred_ptr[v + 1]
            following = whole(-1)
            if hi - lo == 1:
                following = whole(pred[lo])
            else:
                j = cpred[v]
                for e in range(lo, hi):
                    k = whole(pred[e])
                    if assigned[k] or ect[k, q] > least[k] + pred_cost[e]:
                        continue
                    if k == j:
                        following = k
                        break
                    if following < 0 or ect[k, q] < ect[following, q]:
                        following = k
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
    pred_ptr, pred, pred_cost = g.pred_ptr, g.pred, g.pred_cost
    free = np.empty(p)
    for q in range(p):
        free[q] = 0.0
    finish = np.empty((n, p))
    least = np.empty(n)
    for position in range(n):
        v = order[position]
        least[v] = np.inf
        best = whole(-1)
        best_key = np.inf
        best_begin = 0.0
        for q in range(p):
            finish[v, q] = np.inf
            if assigned[v] and not member[q, v]:
                continue
            begin = free[q]
            for e in range(pred_ptr[v], pred_ptr[v + 1]):
                u = pred[e]
                at = least[u] + pred_cost[e]
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
            if rule == BY_COMPLETION:
                key += times[v, q * het]
            elif rule == BY_LOAD:
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
