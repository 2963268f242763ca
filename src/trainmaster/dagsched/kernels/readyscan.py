"""List scheduling that looks at every ready task before each choice: the frame of DLS, of ETF with single
ports or clusters, and of the BUSY variants."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.jit import kernel, whole
from trainmaster.dagsched.kernels.arrivals import enabling
from trainmaster.dagsched.kernels.ports import by_finish, port_arrival, send_all

BY_START = 0
BY_LEVEL_MINUS_START = 1
BY_PRIORITY = 2


@kernel
def schedule_ready(g, priority, times, p, rule, bias, group, home, group_size, busy, ports):
    """Repeatedly choose a (ready task, processor) pair and append the task there.

    ``rule``: 0 takes the least start (ETF), 1 the largest ``priority`` − start + bias (DLS), 2 the highest
    ``priority`` (BL-EST), then its least start. Ties: less start, higher priority, lower task, lower
    processor. ``bias`` None or (n, p). ``group`` (n,), ``home`` (groups,): every task belongs to a group,
    whose tasks must run on its home once that is ≥ 0; None where tasks are free. ``busy``: a group may not
    settle on a processor that still holds an unfinished group (``group_size``: number of tasks of each);
    when that rules out every pair it is waived for one choice, so nothing hangs. ``ports`` as in
    ``schedule_in_order``. Returns processor, start, finish, moved as ``schedule_in_order``.
    O(n · ready · p), times the in-degree with single ports.
    """
    n = priority.size
    het = 1 if times.shape[1] > 1 else 0
    pred_ptr, pred, pred_cost = g.pred_ptr, g.pred, g.pred_cost
    succ_ptr, succ = g.succ_ptr, g.succ
    processor = np.empty(n, np.int32)
    start = np.empty(n)
    finish = np.empty(n)
    free = np.empty(p)
    holds = np.empty(p, np.int64)
    for q in range(p):
        free[q] = 0.0
        holds[q] = 0
    waiting = np.empty(n, np.int64)
    ready = np.empty(n, np.int32)
    first = np.empty(n)
    origin = np.empty(n, np.int32)
    at_origin = np.empty(n)
    count = 0
    for v in range(n):
        first[v] = 0.0
        origin[v] = -1
        waiting[v] = pred_ptr[v + 1] - pred_ptr[v]
        if waiting[v] == 0:
            ready[count] = v
            count += 1
    moved = np.empty(pred.size if ports is not None else whole(0))
    for e in range(moved.size):
        moved[e] = np.nan
    for _ in range(n):
        best_v = whole(-1)
        best_q = whole(-1)
        best_i = whole(-1)
        best_key = -np.inf
        best_start = 0.0
        waive = False
        while best_v < 0:
            for i in range(count):
                v = whole(ready[i])
                if (
                    rule == BY_PRIORITY
                    and best_v >= 0
                    and (priority[v] < priority[best_v] or (priority[v] == priority[best_v] and v > best_v))
                ):
                    continue
                if ports is not None:
                    edges = by_finish(pred_ptr[v], pred_ptr[v + 1], pred, finish)
                    begins = np.empty(edges.size)
                lo = whole(0)
                hi = whole(p)
                settled = False
                if group is not None:
                    settled = home[group[v]] >= 0
                    if settled:
                        lo = home[group[v]]
                        hi = lo + 1
                for q in range(lo, hi):
                    if group is not None and busy and not waive and not settled and holds[q] > 0:
                        continue
                    if ports is not None:
                        begin = port_arrival(edges, pred, pred_cost, q, processor, finish, ports, begins)
                    else:
                        begin = at_origin[v] if q == origin[v] else first[v]
                    if free[q] > begin:
                        begin = free[q]
                    if rule == BY_START:
                        key = -begin
                    elif rule == BY_LEVEL_MINUS_START:
                        key = priority[v] - begin
                        if bias is not None:
                            key += bias[v, q]
                    else:
                        key = priority[v]
                    better = best_v < 0 or key > best_key
                    if not better and key == best_key:
                        if rule == BY_PRIORITY and v != best_v:
                            # Equal priority: the lower task goes first, whatever its start.
                            better = v < best_v
                        elif begin != best_start:
                            better = begin < best_start
                        elif priority[v] != priority[best_v]:
                            better = priority[v] > priority[best_v]
                        else:
                            better = v < best_v or (v == best_v and q < best_q)
                    if better:
                        best_v = v
                        best_q = q
                        best_i = i
                        best_key = key
                        best_start = begin
            waive = True
        v = best_v
        q = best_q
        if ports is not None:
            edges = by_finish(pred_ptr[v], pred_ptr[v + 1], pred, finish)
            begins = np.empty(edges.size)
            send_all(edges, pred, pred_cost, q, processor, finish, ports, begins, moved)
        processor[v] = q
        start[v] = best_start
        finish[v] = best_start + times[v, q * het]
        free[q] = finish[v]
        if group is not None:
            k = group[v]
            if home[k] < 0:
                home[k] = q
                holds[q] += 1
            group_size[k] -= 1
            if group_size[k] == 0:
                holds[q] -= 1
        count -= 1
        ready[best_i] = ready[count]
        for e in range(succ_ptr[v], succ_ptr[v + 1]):
            w = succ[e]
            waiting[w] -= 1
            if waiting[w] == 0:
                ready[count] = w
                count += 1
                if ports is None:
                    first[w], origin[w], at_origin[w] = enabling(
                        pred_ptr[w], pred_ptr[w + 1], pred, pred_cost, processor, finish
                    )
    return processor, start, finish, moved
