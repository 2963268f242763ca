"""List scheduling that copies the chain of critical parents into a processor's idle time."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.jit import borrower, kernel, whole
from trainmaster.dagsched.kernels.copies import add_copy, empty_copies
from trainmaster.dagsched.kernels.timeline import empty_timeline, take

MOST_COPIES = 4


@borrower
def _slot(gap_start, gap_end, gap_before, last_gap, ready, duration, new_start, new_finish, count):
    """Earliest start from ``ready`` on in the gaps up to ``last_gap``, clear of the tentative copies."""
    while True:
        k = last_gap
        begin = gap_start[k] if gap_start[k] > ready else ready
        k = gap_before[k]
        while k >= 0 and gap_end[k] >= ready + duration:
            s = gap_start[k] if gap_start[k] > ready else ready
            if s + duration <= gap_end[k]:
                begin = s
            k = gap_before[k]
        # With tentative copies the gap may be spoilt: go on after them.
        moved = False
        for i in range(count):
            if begin < new_finish[i] and begin + duration > new_start[i]:
                begin = new_finish[i]
                moved = True
        if not moved:
            return begin
        ready = begin


@borrower
def _critical(
    lo, hi, pred, pred_cost, first, least, following, where, finish, q, new_task, new_finish, count
):
    """(time all data are at q, edge of the last arrival, whether that is remote, time of the other data).

    ``lo`` … ``hi``: the predecessor edges. Tentative copies on q count. Ties: the first predecessor.
    """
    ready = 0.0
    others = 0.0
    last = -1
    remote = False
    for e in range(lo, hi):
        u = pred[e]
        arrival = least[u] + pred_cost[e]
        away = True
        k = first[u]
        while k >= 0:
            if where[k] == q:
                away = False
                if finish[k] < arrival:
                    arrival = finish[k]
                break
            k = following[k]
        for i in range(count):
            if new_task[i] == u:
                away = False
                if new_finish[i] < arrival:
                    arrival = new_finish[i]
        if arrival > ready:
            others = ready
            ready = arrival
            last = e
            remote = away
        elif arrival > others:
            others = arrival
    return ready, last, remote, others


@kernel
def duplicate_in_order(g, order, times, p, earliest, depth, most, every, home):
    """Place the tasks in ``order`` (topological), each where it finishes first, copying critical parents.

    Candidate processors of a task: those of its parents' copies and the ``earliest`` that are free first,
    or all with ``every``; only ``home[v]`` once that is ≥ 0. On a candidate, while the last data come from
    elsewhere and later than the processor could start: the parent they come from is copied there if that
    brings them sooner, after the chain of its own critical parents up to ``depth`` long; at most ``most``
    copies for one task, and four for a task on average. Gaps are used for copies and tasks. Ties: fewer
    copies, then the lower processor. Multi-port.

    Returns task, processor, start, finish (copies,).
    """
    n = order.size
    het = 1 if times.shape[1] > 1 else 0
    pred_ptr, pred, pred_cost = g.pred_ptr, g.pred, g.pred_cost
    room = MOST_COPIES * n + most
    c = empty_copies(n, room)
    first, least, following, where, finish = c.first, c.least, c.following, c.processor, c.finish
    line = empty_timeline(p, room + p)
    gap_start, gap_end, gap_before, last_gap = line.start, line.end, line.before, line.last
    # Copies may be of any task, so only gaps too short for every task at all are dropped.
    shortest = np.inf
    for v in range(n):
        for q in range(times.shape[1]):
            if times[v, q] < shortest:
                shortest = times[v, q]
    new_task = np.empty(most, np.int32)
    new_start = np.empty(most)
    new_finish = np.empty(most)
    # What the best processor would get: copies, then the task itself.
    best_task = np.empty(most + 1, np.int32)
    best_start = np.empty(most + 1)
    best_finish = np.empty(most + 1)
    chain = np.empty(depth, np.int64)
    wanted = np.empty(p, np.bool_)
    for position in range(n):
        v = whole(order[position])
        lo = pred_ptr[v]
        hi = pred_ptr[v + 1]
        # Candidate processors.
        for q in range(p):
            wanted[q] = every and home[v] < 0
        if home[v] >= 0:
            wanted[home[v]] = True
        elif not every:
            for e in range(lo, hi):
                k = first[pred[e]]
                while k >= 0:
                    wanted[where[k]] = True
                    k = following[k]
            for _ in range(earliest):
                pick = whole(-1)
                for q in range(p):
                    if not wanted[q] and (pick < 0 or gap_start[last_gap[q]] < gap_start[last_gap[pick]]):
                        pick = q
                if pick < 0:
                    break
                wanted[pick] = True
        best_q = whole(-1)
        best_done = np.inf
        best_count = whole(0)
        for q in range(p):
            if not wanted[q]:
                continue
            duration = times[v, q * het]
            gap = last_gap[q]
            begin = np.inf
            # Tentative copies: ``count`` are kept, ``tried`` include those of the chain on trial.
            count = whole(0)
            tried = whole(0)
            length = whole(0)
            used = whole(0)
            while True:
                ready, last, remote, others = _critical(
                    lo,
                    hi,
                    pred,
                    pred_cost,
                    first,
                    least,
                    following,
                    where,
                    finish,
                    q,
                    new_task,
                    new_finish,
                    tried,
                )
                s = _slot(gap_start, gap_end, gap_before, gap, ready, duration, new_start, new_finish, tried)
                if s < begin:
                    begin = s
                    count = tried
                    if not remote or count >= most or c.count[0] + n - position + most > room:
                        break
                    # No gain once the processor or the other parents are the limit.
                    s = _slot(
                        gap_start, gap_end, gap_before, gap, others, duration, new_start, new_finish, count
                    )
                    if s >= begin:
                        break
                    # The chain of critical parents, nearest first.
                    used = whole(0)
                    length = whole(0)
                    edge = last
                    while length < depth and count + length < most:
                        chain[length] = edge
                        length += 1
                        u = pred[edge]
                        _, edge, away, _ = _critical(
                            pred_ptr[u], pred_ptr[u + 1], pred, pred_cost, first, least, following, where,
                            finish, q, new_task, new_finish, count,
                        )  # fmt: skip
                        if edge < 0 or not away:
                            break
                # Try ever longer chains; the shortest that brings v forward is kept.
                used += 1
                if used > length:
                    break
                tried = count
                for i in range(used - 1, -1, -1):
                    u = pred[chain[i]]
                    at, _, _, _ = _critical(
                        pred_ptr[u], pred_ptr[u + 1], pred, pred_cost, first, least, following, where, finish,
                        q, new_task, new_finish, tried,
                    )  # fmt: skip
                    span = times[u, q * het]
                    s = _slot(gap_start, gap_end, gap_before, gap, at, span, new_start, new_finish, tried)
                    new_task[tried] = u
                    new_start[tried] = s
                    new_finish[tried] = s + span
                    tried += 1
            done = begin + duration
            if done < best_done or (done == best_done and count < best_count):
                best_done = done
                best_q = q
                best_count = count
                for i in range(count):
                    best_task[i] = new_task[i]
                    best_start[i] = new_start[i]
                    best_finish[i] = new_finish[i]
                best_task[count] = v
                best_start[count] = begin
                best_finish[count] = done
        for i in range(best_count + 1):
            take(line, best_q, best_start[i], best_finish[i], shortest)
            add_copy(c, whole(best_task[i]), best_q, best_start[i], best_finish[i])
    k = c.count[0]
    return c.task[:k], where[:k], c.start[:k], finish[:k]
