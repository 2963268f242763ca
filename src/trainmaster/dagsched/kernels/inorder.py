"""List scheduling in a fixed order: the frame of HEFT, BL-EST, CPOP, PEFT and their clustered variants."""

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
from trainmaster.dagsched.kernels.timeline import (
    earliest_gap,
    empty_timeline,
    occupy,
    shortest_to_come,
)


@kernel
def schedule_in_order(g, order, times, p, insertion, finish_counts, bias, group, home, single):
    """Place the tasks in ``order`` (topological), each on its best processor.

    ``times`` (n, 1) or (n, p). ``insertion``: gaps may be used. ``finish_counts``: choose the earliest
    finish, else the earliest start; ``bias`` (1, 1) or (n, p) is added to that. Ties: the lower processor.
    ``group`` (n,) with ``home`` (groups,): a task of group k ≥ 0 must run on ``home[k]`` once that is ≥ 0;
    the first task of a group sets it (``home`` is changed). ``single``: duplex single-port, transfers in
    order of the parents' finish, ports filled only at their end.

    Returns processor, start, finish (n,) and the transfer start of each predecessor edge (m,; NaN where
    none takes time; empty for multi-port). O(m + n p) and the gaps passed.
    """
    n = order.size
    het = 1 if times.shape[1] > 1 else 0
    biased = 1 if bias.shape[1] > 1 else 0
    processor = np.full(n, -1, np.int32)
    start = np.zeros(n)
    finish = np.zeros(n)
    line = empty_timeline(p, n + p)
    shortest = shortest_to_come(order, times) if insertion else np.empty(0)
    local = np.zeros(p)
    ports = p if single else 0
    send = np.zeros(ports)
    receive = np.zeros(ports)
    touched = np.full(ports, -1.0)
    moved = np.full(g.pred.size if single else 0, np.nan)
    edges = np.empty(0, np.int64)
    begins = np.empty(0)
    # Taken out of the tuple once: in the inner loop each access would cost a reference count.
    gap_start, gap_end, gap_before, last_gap = line.start, line.end, line.before, line.last
    for k in range(n):
        v = whole(order[k])
        first = 0.0
        origin = -1
        second = 0.0
        if single:
            edges = by_finish(g, v, finish)
            begins = np.empty(edges.size)
        else:
            first, origin, second = two_latest(g, v, processor, finish)
            fill_local(g, v, processor, finish, local)
        lo = 0
        hi = p
        if group[v] >= 0 and home[group[v]] >= 0:
            lo = home[group[v]]
            hi = lo + 1
        best_key = np.inf
        best_q = whole(-1)
        best_gap = whole(-1)
        best_start = 0.0
        for q in range(lo, hi):
            if single:
                ready = port_arrival(g, edges, q, processor, finish, send, receive, touched, begins)
            else:
                ready = second if q == origin else first
                if local[q] > ready:
                    ready = local[q]
            duration = times[v, q * het]
            gap = whole(last_gap[q])
            begin = gap_start[gap] if gap_start[gap] > ready else ready
            if insertion and gap_before[gap] >= 0 and gap_end[gap_before[gap]] >= ready + duration:
                gap, begin = earliest_gap(line, q, ready, duration, True)
            key = begin
            if finish_counts:
                key += duration
            if biased:
                key += bias[v, q]
            if key < best_key:
                best_key = key
                best_q = q
                best_gap = gap
                best_start = begin
        if single:
            port_arrival(g, edges, best_q, processor, finish, send, receive, touched, begins)
            for i in range(edges.size):
                if not np.isnan(begins[i]):
                    e = edges[i]
                    moved[e] = begins[i]
                    send[processor[g.pred[e]]] = begins[i] + g.pred_cost[e]
                    receive[best_q] = begins[i] + g.pred_cost[e]
        else:
            clear_local(g, v, processor, local)
        processor[v] = best_q
        start[v] = best_start
        finish[v] = best_start + times[v, best_q * het]
        occupy(line, best_q, best_gap, best_start, finish[v], shortest[k] if insertion else np.inf)
        if group[v] >= 0:
            home[group[v]] = best_q
    return processor, start, finish, moved
