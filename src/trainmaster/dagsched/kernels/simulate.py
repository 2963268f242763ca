"""When everything runs, given only the order of copies on every processor."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.jit import kernel, whole
from trainmaster.dagsched.kernels.sorting import rising


@kernel
def _ready_multi(pred_ptr, pred, pred_cost, v, q, first, following, where, finish, least):
    """When all data of v are at q from the copies that have run; −1 while a parent has none."""
    ready = 0.0
    for e in range(pred_ptr[v], pred_ptr[v + 1]):
        k = first[pred[e]]
        if k < 0:
            return -1.0
        earliest = least[pred[e]] + pred_cost[e]
        if earliest > ready:
            # Sent from the first copy to end; a copy on q itself may be sooner.
            while k >= 0:
                if where[k] == q:
                    if finish[k] < earliest:
                        earliest = finish[k]
                    break
                k = following[k]
            if earliest > ready:
                ready = earliest
    return ready


@kernel
def _ready_single(g, v, q, first, following, where, finish, send, receive, touched, source, begins):
    """As ``_ready_multi`` over free ports; fills ``source`` (copy or −1) and ``begins`` per parent.

    Parents in order of the first finish of a copy (ties: number); each sends from the copy whose transfer
    would end first (ties: the copy that ran first).
    """
    lo = g.pred_ptr[v]
    d = g.pred_ptr[v + 1] - lo
    order_key = np.empty(d)
    for i in range(d):
        source[i] = -1
        k = first[g.pred[lo + i]]
        if k < 0:
            return -1.0
        order_key[i] = np.inf
        while k >= 0:
            if finish[k] < order_key[i]:
                order_key[i] = finish[k]
            k = following[k]
    order = rising(order_key)
    ready = 0.0
    port = receive[q]
    for j in range(d):
        i = order[j]
        cost = g.pred_cost[lo + i]
        earliest = np.inf
        chosen = -1
        k = first[g.pred[lo + i]]
        while k >= 0:
            if where[k] == q or cost == 0.0:
                arrival = finish[k]
                moved = False
            else:
                begin = finish[k]
                free = touched[where[k]] if touched[where[k]] >= 0.0 else send[where[k]]
                if free > begin:
                    begin = free
                if port > begin:
                    begin = port
                arrival = begin + cost
                moved = True
            # The list runs from the latest copy back, so equal arrivals end at the first one.
            if arrival <= earliest:
                earliest = arrival
                chosen = k if moved else -1
            k = following[k]
        source[i] = chosen
        if chosen >= 0:
            begins[i] = earliest - cost
            port = earliest
            touched[where[chosen]] = earliest
        if earliest > ready:
            ready = earliest
    for i in range(d):
        if source[i] >= 0:
            touched[where[source[i]]] = -1.0
    return ready


@kernel
def simulate_lists(g, times, ptr, task, single):
    """Start and finish of every copy when each processor runs its list in order, as early as possible.

    ``ptr`` (p+1,), ``task`` (copies,): processor q runs ``task[ptr[q]:ptr[q+1]]``. Always the head that
    starts first runs next (ties: lower processor). Multi-port that gives the earliest times there are: a
    copy not yet run ends no earlier than the chosen start, so it brings nobody data before it. Single-port:
    transfers are added to the ends of the ports in that order. A copy takes data from a copy that has run.

    Returns start, finish (copies,), number that ran (fewer than all: the lists block each other), and for
    single-port five arrays of transfers (target copy, source copy, begin, finish, their number).
    O(copies · (p log degree + copies of a task · in-degree)).
    """
    p = ptr.size - 1
    total = task.size
    n = g.topo.size
    het = 1 if times.shape[1] > 1 else 0
    start = np.zeros(total)
    finish = np.zeros(total)
    where = np.empty(total, np.int32)
    for q in range(p):
        for k in range(ptr[q], ptr[q + 1]):
            where[k] = q
    first = np.full(n, -1, np.int64)
    least = np.full(n, np.inf)
    following = np.full(total, -1, np.int64)
    head = ptr[:-1].copy()
    free = np.zeros(p)
    begin = np.full(p, -1.0)
    ports = p if single else 0
    send = np.zeros(ports)
    receive = np.zeros(ports)
    touched = np.full(ports, -1.0)
    widest = 0
    if single:
        for v in range(n):
            if g.pred_ptr[v + 1] - g.pred_ptr[v] > widest:
                widest = g.pred_ptr[v + 1] - g.pred_ptr[v]
    source = np.empty(widest, np.int64)
    begins = np.empty(widest)
    room = 16
    if single:
        for k in range(total):
            room += g.pred_ptr[task[k] + 1] - g.pred_ptr[task[k]]
    move_target = np.empty(room, np.int64)
    move_source = np.empty(room, np.int64)
    move_begin = np.empty(room)
    move_end = np.empty(room)
    moves = 0
    stale = np.ones(p, np.bool_)
    ran = 0
    succ_ptr, succ = g.succ_ptr, g.succ
    pred_ptr, pred, pred_cost = g.pred_ptr, g.pred, g.pred_cost
    while True:
        best = whole(-1)
        for q in range(p):
            if head[q] >= ptr[q + 1]:
                continue
            if stale[q] or single:
                stale[q] = False
                v = task[head[q]]
                if single:
                    ready = _ready_single(
                        g, v, q, first, following, where, finish, send, receive, touched, source, begins
                    )
                else:
                    ready = _ready_multi(
                        pred_ptr, pred, pred_cost, v, q, first, following, where, finish, least
                    )
                if ready >= 0.0 and free[q] > ready:
                    ready = free[q]
                begin[q] = ready
            if begin[q] >= 0.0 and (best < 0 or begin[q] < begin[best]):
                best = q
        if best < 0:
            break
        q = best
        k = head[q]
        v = task[k]
        if single:
            _ready_single(g, v, q, first, following, where, finish, send, receive, touched, source, begins)
            for i in range(g.pred_ptr[v + 1] - g.pred_ptr[v]):
                if source[i] >= 0:
                    end = begins[i] + g.pred_cost[g.pred_ptr[v] + i]
                    move_target[moves] = k
                    move_source[moves] = source[i]
                    move_begin[moves] = begins[i]
                    move_end[moves] = end
                    moves += 1
                    if end > send[where[source[i]]]:
                        send[where[source[i]]] = end
                    if end > receive[q]:
                        receive[q] = end
        start[k] = begin[q]
        finish[k] = begin[q] + times[v, q * het]
        free[q] = finish[k]
        following[k] = first[v]
        first[v] = k
        if finish[k] < least[v]:
            least[v] = finish[k]
        head[q] = k + 1
        ran += 1
        stale[q] = True
        if not single:
            # A head that is a child of v may be free now, or be served sooner: bisection in v's children.
            lo = succ_ptr[v]
            hi = succ_ptr[v + 1]
            for r in range(p):
                if r == q or stale[r] or head[r] >= ptr[r + 1]:
                    continue
                child = task[head[r]]
                left = lo
                right = hi
                while left < right:
                    middle = (left + right) // 2
                    if succ[middle] < child:
                        left = middle + 1
                    else:
                        right = middle
                if left < hi and succ[left] == child:
                    stale[r] = True
    return start, finish, ran, move_target[:moves], move_source[:moves], move_begin[:moves], move_end[:moves]
