"""List scheduling that looks at every ready task before each choice: the frame of DLS, of ETF with single
ports or clusters, and of the BUSY variants."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.jit import kernel, whole
from trainmaster.dagsched.kernels.arrivals import (
    by_finish,
    clear_local,
    fill_local,
    port_arrival,
    two_latest,
)

BY_START = 0
BY_LEVEL_MINUS_START = 1
BY_PRIORITY = 2


@kernel
def schedule_ready(g, priority, times, p, rule, bias, group, home, group_size, busy, single):
    """Repeatedly choose a (ready task, processor) pair and append the task there.

    ``rule``: 0 takes the least start (ETF), 1 the largest ``priority`` − start + bias (DLS), 2 the highest
    ``priority`` (BL-EST), then its least start. Ties: less start, higher priority, lower task, lower
    processor. ``bias`` (1, 1) or (n, p). ``group``, ``home`` as in ``schedule_in_order``. ``busy``: a
    group may not settle on a processor that still holds an unfinished group (``group_size``: number of
    tasks of each); when that rules out every pair it is waived for one choice, so nothing hangs. Returns
    processor, start, finish, moved as ``schedule_in_order``. O(n · ready · p), times the in-degree with
    single ports.
    """
    n = priority.size
    het = 1 if times.shape[1] > 1 else 0
    biased = 1 if bias.shape[1] > 1 else 0
    processor = np.full(n, -1, np.int32)
    start = np.zeros(n)
    finish = np.zeros(n)
    free = np.zeros(p)
    local = np.zeros(p)
    waiting = np.empty(n, np.int64)
    ready = np.empty(n, np.int32)
    count = 0
    for v in range(n):
        waiting[v] = g.pred_ptr[v + 1] - g.pred_ptr[v]
        if waiting[v] == 0:
            ready[count] = v
            count += 1
    first = np.zeros(n)
    origin = np.full(n, -1, np.int32)
    at_origin = np.zeros(n)
    unfinished = group_size.copy()
    holds = np.zeros(p, np.int64)
    ports = p if single else 0
    send = np.zeros(ports)
    receive = np.zeros(ports)
    touched = np.full(ports, -1.0)
    moved = np.full(g.pred.size if single else 0, np.nan)
    for _ in range(n):
        best_v = whole(-1)
        best_q = whole(-1)
        best_key = -np.inf
        best_start = 0.0
        waive = False
        while best_v < 0:
            for i in range(count):
                v = whole(ready[i])
                if (
                    rule == 2
                    and best_v >= 0
                    and (priority[v] < priority[best_v] or (priority[v] == priority[best_v] and v > best_v))
                ):
                    continue
                edges = by_finish(g, v, finish) if single else np.empty(0, np.int64)
                begins = np.empty(edges.size)
                lo = 0
                hi = p
                settled = group[v] >= 0 and home[group[v]] >= 0
                if settled:
                    lo = home[group[v]]
                    hi = lo + 1
                for q in range(lo, hi):
                    if busy and not waive and not settled and group[v] >= 0 and holds[q] > 0:
                        continue
                    if single:
                        begin = port_arrival(g, edges, q, processor, finish, send, receive, touched, begins)
                    else:
                        begin = at_origin[v] if q == origin[v] else first[v]
                    if free[q] > begin:
                        begin = free[q]
                    if rule == 0:
                        key = -begin
                    elif rule == 1:
                        key = priority[v] - begin
                        if biased:
                            key += bias[v, q]
                    else:
                        key = priority[v]
                    better = best_v < 0 or key > best_key
                    if not better and key == best_key:
                        better = begin < best_start or (
                            begin == best_start
                            and (
                                priority[v] > priority[best_v]
                                or (
                                    priority[v] == priority[best_v]
                                    and (v < best_v or (v == best_v and q < best_q))
                                )
                            )
                        )
                    if rule == 2 and best_v >= 0 and key == best_key and v != best_v:
                        # Equal priority: the lower task goes first, whatever its start.
                        better = v < best_v
                    if better:
                        best_v = v
                        best_q = q
                        best_key = key
                        best_start = begin
            waive = True
        v = best_v
        q = best_q
        if single:
            edges = by_finish(g, v, finish)
            begins = np.empty(edges.size)
            port_arrival(g, edges, q, processor, finish, send, receive, touched, begins)
            for i in range(edges.size):
                if not np.isnan(begins[i]):
                    e = edges[i]
                    moved[e] = begins[i]
                    send[processor[g.pred[e]]] = begins[i] + g.pred_cost[e]
                    receive[q] = begins[i] + g.pred_cost[e]
        processor[v] = q
        start[v] = best_start
        finish[v] = best_start + times[v, q * het]
        free[q] = finish[v]
        k = group[v]
        if k >= 0:
            if home[k] < 0:
                home[k] = q
                holds[q] += 1
            unfinished[k] -= 1
            if unfinished[k] == 0:
                holds[q] -= 1
        for i in range(count):
            if ready[i] == v:
                count -= 1
                ready[i] = ready[count]
                break
        for e in range(g.succ_ptr[v], g.succ_ptr[v + 1]):
            w = g.succ[e]
            waiting[w] -= 1
            if waiting[w] == 0:
                ready[count] = w
                count += 1
                if not single:
                    first[w], origin[w], second = two_latest(g, w, processor, finish)
                    if origin[w] >= 0:
                        fill_local(g, w, processor, finish, local)
                        at = local[origin[w]]
                        at_origin[w] = second if second > at else at
                        clear_local(g, w, processor, local)
    return processor, start, finish, moved
