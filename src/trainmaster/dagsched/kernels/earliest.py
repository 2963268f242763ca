"""Earliest task first in O(n (log n + p) + m): the pair of least start over all ready tasks and processors.

A ready task's data are at its enabling processor P₁ at d₁ and everywhere else at a₁ ≥ d₁ (top-two trick), so
its best start is min(max(free[P₁], d₁), max(least free, a₁)). Both terms only need heaps: per processor the
tasks it enables, and one for all, each split into tasks whose data are there (by priority) and tasks still
waiting for data (by arrival). Free times only grow, so a task moves once from waiting to there. The idea
is that of FLB (Rădulescu & van Gemund, IEEE TPDS 13, 2002); the choice is ETF's, exactly.
"""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.jit import borrower, kernel, whole
from trainmaster.dagsched.kernels.arrivals import enabling


@borrower
def _meld(child, sibling, key, priority, a, b):
    """One pairing heap of two (−1: empty): least key first, then highest priority, then the lower node."""
    if a < 0:
        return b
    if b < 0:
        return a
    if key[b] < key[a] or (
        key[b] == key[a] and (priority[b] > priority[a] or (priority[b] == priority[a] and b < a))
    ):
        a, b = b, a
    sibling[b] = child[a]
    child[a] = b
    return a


@borrower
def _remove_top(child, sibling, key, priority, root):
    """Two-pass pairing: pair the children from the left, then meld the pairs from the right."""
    pairs = whole(-1)
    k = whole(child[root])
    while k >= 0:
        a = k
        b = whole(sibling[a])
        if b < 0:
            sibling[a] = pairs
            pairs = a
            break
        k = whole(sibling[b])
        sibling[a] = -1
        sibling[b] = -1
        m = _meld(child, sibling, key, priority, a, b)
        sibling[m] = pairs
        pairs = m
    top = whole(-1)
    while pairs >= 0:
        following = whole(sibling[pairs])
        sibling[pairs] = -1
        top = _meld(child, sibling, key, priority, top, pairs)
        pairs = following
    return top


@borrower
def _top(child, sibling, key, priority, done, late, there, now):
    """The first task of a pair of heaps at time ``now``: of those whose data are there, else by arrival.

    Drops tasks that are done and moves tasks whose arrival is past from ``late`` to ``there``, where the
    priority decides. Returns the two heaps.
    """
    while late >= 0 and (done[late % done.size] or key[late] <= now):
        v = late
        late = _remove_top(child, sibling, key, priority, late)
        if not done[v % done.size]:
            key[v] = 0.0
            child[v] = -1
            sibling[v] = -1
            there = _meld(child, sibling, key, priority, there, v)
    while there >= 0 and done[there % done.size]:
        there = _remove_top(child, sibling, key, priority, there)
    return late, there


@kernel
def earliest_task_first(g, priority, times, p):
    """ETF on multi-port machines, every task appended at its processor's end.

    Ties of the start: higher ``priority``, then the lower task; for the chosen task the enabling processor,
    then the processor that has been free longest, then the lower one. Returns processor, start, finish.
    """
    n = priority.size
    het = 1 if times.shape[1] > 1 else 0
    pred_ptr, pred, pred_cost = g.pred_ptr, g.pred, g.pred_cost
    succ_ptr, succ = g.succ_ptr, g.succ
    processor = np.empty(n, np.int32)
    start = np.empty(n)
    finish = np.empty(n)
    done = np.empty(n, np.bool_)
    waiting = np.empty(n, np.int64)
    # A ready task v is node v in the heaps of its enabling processor, node n + v in the common heaps p.
    child = np.empty(2 * n, np.int32)
    sibling = np.empty(2 * n, np.int32)
    key = np.empty(2 * n)
    twice = np.empty(2 * n)
    for node in range(2 * n):
        child[node] = -1
        sibling[node] = -1
        key[node] = 0.0
        twice[node] = priority[node % n]
    free = np.empty(p)
    late = np.empty(p + 1, np.int64)
    there = np.empty(p + 1, np.int64)
    for heap in range(p + 1):
        late[heap] = -1
        there[heap] = -1
    for q in range(p):
        free[q] = 0.0
    enabler = np.empty(n, np.int32)
    at_enabler = np.empty(n)
    fresh = np.empty(n, np.int32)
    fresh_count = 0
    for v in range(n):
        done[v] = False
        waiting[v] = pred_ptr[v + 1] - pred_ptr[v]
        if waiting[v] == 0:
            fresh[fresh_count] = v
            fresh_count += 1
    for _ in range(n):
        for i in range(fresh_count):
            v = fresh[i]
            key[n + v], enabler[v], at_enabler[v] = enabling(
                pred_ptr[v], pred_ptr[v + 1], pred, pred_cost, processor, finish
            )
            key[v] = at_enabler[v]
            late[p] = _meld(child, sibling, key, twice, late[p], n + v)
            if enabler[v] >= 0:
                late[enabler[v]] = _meld(child, sibling, key, twice, late[enabler[v]], whole(v))
        fresh_count = 0
        earliest = 0
        for q in range(1, p):
            if free[q] < free[earliest]:
                earliest = q
        # Heap p: the best task for the processor that is free first; heap q: of those q enables.
        best = -1
        best_start = np.inf
        for heap in range(p, -1, -1):
            if late[heap] < 0 and there[heap] < 0:
                continue
            now = free[earliest] if heap == p else free[heap]
            top, node = late[heap], there[heap]
            # Most heaps are in order: calling the function for each would cost more than the work.
            if (top >= 0 and (done[top % n] or key[top] <= now)) or (node >= 0 and done[node % n]):
                top, node = _top(child, sibling, key, twice, done, top, node, now)
                late[heap] = top
                there[heap] = node
            if node < 0:
                node = top
            if node < 0:
                continue
            v = node % n
            begin = now if there[heap] >= 0 else key[node]
            if (
                begin < best_start
                or best < 0
                or (
                    begin == best_start
                    and (priority[v] > priority[best] or (priority[v] == priority[best] and v < best))
                )
            ):
                best = v
                best_start = begin
        v = best
        q = earliest
        if enabler[v] >= 0 and at_enabler[v] <= best_start and free[enabler[v]] <= best_start:
            q = enabler[v]
        done[v] = True
        processor[v] = q
        start[v] = best_start
        finish[v] = best_start + times[v, q * het]
        free[q] = finish[v]
        for e in range(succ_ptr[v], succ_ptr[v + 1]):
            waiting[succ[e]] -= 1
            if waiting[succ[e]] == 0:
                fresh[fresh_count] = succ[e]
                fresh_count += 1
    return processor, start, finish
