"""When everything runs, given only the order of copies on every processor."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.jit import borrower, inner, kernel, whole
from trainmaster.dagsched.kernels.sorting import rising


@borrower
def _ready_multi(lo, hi, pred, pred_cost, q, first, following, where, finish, least):
    """When all data of a task are at q from the copies that have run; −1 while a parent has none.

    ``lo`` … ``hi``: its predecessor edges.
    """
    ready = 0.0
    for e in range(lo, hi):
        u = pred[e]
        k = first[u]
        if k < 0:
            return -1.0
        earliest = least[u] + pred_cost[e]
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


@inner
def _ready_single(lo, hi, pred, pred_cost, q, first, following, where, finish, least, ports, source, begins):
    """As ``_ready_multi`` over free ports; fills ``source`` (copy or −1) and ``begins`` per parent.

    Parents in order of the first finish of a copy (ties: number); each sends from the copy whose transfer
    would end first (ties: the copy that ran first).
    """
    send, touched = ports.send, ports.touched
    d = hi - lo
    order_key = np.empty(d)
    for i in range(d):
        source[i] = -1
        if first[pred[lo + i]] < 0:
            return -1.0
        order_key[i] = least[pred[lo + i]]
    order = rising(order_key)
    ready = 0.0
    port = ports.receive[q]
    for j in range(d):
        i = order[j]
        cost = pred_cost[lo + i]
        earliest = np.inf
        chosen = whole(-1)
        k = first[pred[lo + i]]
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
                chosen = k if moved else whole(-1)
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
def simulate_lists(g, times, ptr, task, ports, earliest, tail, limit):
    """Start and finish of every copy when each processor runs its list in order, as early as possible.

    ``ptr`` (p+1,), ``task`` (copies,): processor q runs ``task[ptr[q]:ptr[q+1]]``. Always the head that
    starts first runs next (ties: lower processor). Multi-port (``ports`` None) that gives the earliest
    times there are: a copy not yet run ends no earlier than the chosen start, so it brings nobody data
    before it. Single-port: transfers are added to the ends of the ports (which are changed) in that order.
    A copy takes data from a copy that has run.

    Gives up as soon as the makespan must exceed ``limit`` (inf: never): when a copy starts so late that the
    rest of its list does not fit, or the first copy of v so late that ``tail[v]`` (n,) does not, the least
    time from the start of v to the end. A first look at each list alone takes ``earliest[v]`` (n,), a lower
    bound on the start of v, for its data.

    Returns start, finish (copies,), the copies in the order they ran and their number (fewer than all: the
    lists block each other, or it gave up), and for single-port, by predecessor edge of each copy in order of
    copies, the source copy (−1: no transfer) and the begin of the transfer.
    O(copies · (p log degree + copies of a task · in-degree)).
    """
    p = ptr.size - 1
    total = task.size
    n = g.topo.size
    het = 1 if times.shape[1] > 1 else 0
    succ_ptr, succ = g.succ_ptr, g.succ
    pred_ptr, pred, pred_cost = g.pred_ptr, g.pred, g.pred_cost
    start = np.empty(total)
    finish = np.empty(total)
    where = np.empty(total, np.int32)
    following = np.empty(total, np.int64)
    sequence = np.empty(total, np.int64)
    head = np.empty(p, np.int64)
    free = np.empty(p)
    rest = np.empty(p)
    begin = np.empty(p)
    stale = np.empty(p, np.bool_)
    for q in range(p):
        head[q] = ptr[q]
        free[q] = 0.0
        rest[q] = 0.0
        begin[q] = -1.0
        stale[q] = True
        for k in range(ptr[q], ptr[q + 1]):
            where[k] = q
            rest[q] += times[task[k], q * het]
            start[k] = 0.0
            finish[k] = 0.0
    first = np.empty(n, np.int64)
    copies = np.empty(n, np.int64)
    least = np.empty(n)
    for v in range(n):
        first[v] = -1
        copies[v] = 0
        least[v] = np.inf
    for k in range(total):
        copies[task[k]] += 1
    hopeless = False
    for q in range(p if limit < np.inf else 0):
        now = 0.0
        for k in range(ptr[q], ptr[q + 1]):
            v = task[k]
            if earliest[v] > now:
                now = earliest[v]
            if copies[v] == 1 and now + tail[v] > limit:
                hopeless = True
            now += times[v, q * het]
        hopeless = hopeless or now > limit
    ran = 0
    edges = whole(0)
    if ports is not None:
        for k in range(total):
            edges += pred_ptr[task[k] + 1] - pred_ptr[task[k]]
    move_source = np.empty(edges, np.int64)
    move_begin = np.empty(edges)
    if ports is not None:
        # Where the edges of each copy begin among those of all.
        offset = np.empty(total, np.int64)
        edges = whole(0)
        for k in range(total):
            offset[k] = edges
            for _ in range(pred_ptr[task[k]], pred_ptr[task[k] + 1]):
                move_source[edges] = -1
                edges += 1
    while not hopeless:
        best = whole(-1)
        for q in range(p):
            if head[q] >= ptr[q + 1]:
                continue
            v = task[head[q]]
            lo = pred_ptr[v]
            hi = pred_ptr[v + 1]
            if ports is not None:
                at = offset[head[q]]
                ready = _ready_single(
                    lo, hi, pred, pred_cost, q, first, following, where, finish, least, ports,
                    move_source[at:], move_begin[at:],
                )  # fmt: skip
                begin[q] = free[q] if ready >= 0.0 and free[q] > ready else ready
            elif stale[q]:
                stale[q] = False
                ready = _ready_multi(lo, hi, pred, pred_cost, q, first, following, where, finish, least)
                begin[q] = free[q] if ready >= 0.0 and free[q] > ready else ready
            if begin[q] >= 0.0 and (best < 0 or begin[q] < begin[best]):
                best = q
        if best < 0:
            break
        q = best
        k = head[q]
        v = task[k]
        if begin[q] + rest[q] > limit or (first[v] < 0 and begin[q] + tail[v] > limit):
            break
        rest[q] -= times[v, q * het]
        if ports is not None:
            # What was found for the chosen head just now still holds: the transfers go.
            for i in range(pred_ptr[v + 1] - pred_ptr[v]):
                source = move_source[offset[k] + i]
                if source >= 0:
                    end = move_begin[offset[k] + i] + pred_cost[pred_ptr[v] + i]
                    if end > ports.send[where[source]]:
                        ports.send[where[source]] = end
                    if end > ports.receive[q]:
                        ports.receive[q] = end
        start[k] = begin[q]
        finish[k] = begin[q] + times[v, q * het]
        free[q] = finish[k]
        sooner = finish[k] < least[v]
        if sooner:
            least[v] = finish[k]
        following[k] = first[v]
        first[v] = k
        head[q] = k + 1
        sequence[ran] = k
        ran += 1
        stale[q] = True
        if ports is None and sooner:
            # A head that is a child of v may be free now, or be served sooner: bisection in v's children.
            # No other head can: it takes v from a copy beside it or from the first to end.
            for r in range(p):
                if stale[r] or head[r] >= ptr[r + 1]:
                    continue
                child = task[head[r]]
                left = succ_ptr[v]
                right = succ_ptr[v + 1]
                while left < right:
                    middle = (left + right) // 2
                    if succ[middle] < child:
                        left = middle + 1
                    else:
                        right = middle
                if left < succ_ptr[v + 1] and succ[left] == child:
                    stale[r] = True
    return start, finish, sequence, ran, move_source, move_begin
