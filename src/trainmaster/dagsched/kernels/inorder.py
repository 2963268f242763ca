"""List scheduling in a fixed order: the frame of HEFT, BL-EST, CPOP, PEFT and their clustered variants."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.jit import kernel, whole
from trainmaster.dagsched.kernels.arrivals import two_latest
from trainmaster.dagsched.kernels.ports import by_finish, port_arrival, send_all
from trainmaster.dagsched.kernels.timeline import earliest_gap, empty_timeline, occupy, shortest_to_come


@kernel
def schedule_in_order(g, order, times, p, insertion, finish_counts, bias, group, home, ports):
    """Place the tasks in ``order`` (topological), each on its best processor.

    ``times`` (n, 1) or (n, p). ``insertion``: gaps may be used. ``finish_counts``: choose the earliest
    finish, else the earliest start; ``bias`` (None or (n, p)) is added to that. Ties: the lower processor.
    ``group`` (n,) with ``home`` (groups,): a task of group k ≥ 0 must run on ``home[k]`` once that is ≥ 0;
    the first task of a group sets it (``home`` is changed). ``ports``: None for multi-port, else transfers
    go in order of the parents' finish, and ports (which are changed) are filled only at their end.

    Returns processor, start, finish (n,) and the transfer start of each predecessor edge (m,; NaN where
    none takes time; empty for multi-port). O(m + n p) and the gaps passed.
    """
    n = order.size
    het = 1 if times.shape[1] > 1 else 0
    pred_ptr, pred, pred_cost = g.pred_ptr, g.pred, g.pred_cost
    processor = np.empty(n, np.int32)
    start = np.empty(n)
    finish = np.empty(n)
    line = empty_timeline(p, n + p)
    gap_start, gap_end, gap_before, last_gap = line.start, line.end, line.before, line.last
    shortest = shortest_to_come(order, times)
    # Multi-port: the latest finish of a parent on each processor, for the task at hand.
    local = np.empty(p)
    for q in range(p):
        local[q] = 0.0
    moved = np.empty(pred.size if ports is not None else whole(0))
    for e in range(moved.size):
        moved[e] = np.nan
    for k in range(n):
        v = whole(order[k])
        first = 0.0
        origin = whole(-1)
        second = 0.0
        if ports is not None:
            edges = by_finish(pred_ptr[v], pred_ptr[v + 1], pred, finish)
            begins = np.empty(edges.size)
        else:
            first, origin, second = two_latest(
                pred_ptr[v], pred_ptr[v + 1], pred, pred_cost, processor, finish
            )
            for e in range(pred_ptr[v], pred_ptr[v + 1]):
                u = pred[e]
                if finish[u] > local[processor[u]]:
                    local[processor[u]] = finish[u]
        lo = whole(0)
        hi = whole(p)
        if group[v] >= 0 and home[group[v]] >= 0:
            lo = home[group[v]]
            hi = lo + 1
        best_key = np.inf
        best_q = whole(-1)
        best_gap = whole(-1)
        best_start = 0.0
        for q in range(lo, hi):
            if ports is not None:
                ready = port_arrival(edges, pred, pred_cost, q, processor, finish, ports, begins)
            else:
                ready = second if q == origin else first
                if local[q] > ready:
                    ready = local[q]
            duration = times[v, q * het]
            # It cannot start before it is ready, so it may be out of the question without looking at gaps.
            least = ready + duration if finish_counts else ready
            if bias is not None:
                least += bias[v, q]
            if least >= best_key:
                continue
            gap = whole(last_gap[q])
            begin = gap_start[gap] if gap_start[gap] > ready else ready
            if insertion and gap_before[gap] >= 0 and gap_end[gap_before[gap]] >= ready + duration:
                gap, begin = earliest_gap(gap_start, gap_end, gap_before, gap, ready, duration)
            key = begin
            if finish_counts:
                key += duration
            if bias is not None:
                key += bias[v, q]
            if key < best_key:
                best_key = key
                best_q = q
                best_gap = gap
                best_start = begin
        if ports is not None:
            send_all(edges, pred, pred_cost, best_q, processor, finish, ports, begins, moved)
        else:
            for e in range(pred_ptr[v], pred_ptr[v + 1]):
                local[processor[pred[e]]] = 0.0
        processor[v] = best_q
        start[v] = best_start
        finish[v] = best_start + times[v, best_q * het]
        occupy(line, best_q, best_gap, best_start, finish[v], shortest[k] if insertion else np.inf)
        if group[v] >= 0:
            home[group[v]] = best_q
    return processor, start, finish, moved
