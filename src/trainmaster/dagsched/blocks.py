"""Scheduling whole parts, one after another on a processor: the frame of the MACRO variants."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

from typing import Any

import numpy as np

from trainmaster.dagsched.clusters import parts_of, quotient
from trainmaster.dagsched.jit import kernel
from trainmaster.dagsched.kernels.ranks import b_levels, descending
from trainmaster.dagsched.problem import Draft, Problem
from trainmaster.dagsched.simulation import simulate


@kernel
def place_blocks(g, part, ptr, members, parents_left, child_ptr, child, level, times, p, earliest_first):
    """The processor and the turn of every part.

    A part is ready when all parts it needs are placed. On a processor it starts when that is free and all
    its outside data are there; its tasks (``members[ptr[k]:ptr[k+1]]``) then run in order, each as early as
    its data allow. ``earliest_first``: the ready (part, processor) pair of least start goes next, else the
    ready part of highest ``level`` on its processor of least start. Ties: higher level, lower part, lower
    processor. ``child_ptr``, ``child``: the quotient graph. Returns home, turn (parts,).
    """
    parts = ptr.size - 1
    het = 1 if times.shape[1] > 1 else 0
    home = np.full(parts, -1, np.int64)
    turn = np.zeros(parts, np.int64)
    finish = np.zeros(part.size)
    free = np.zeros(p)
    ready = np.empty(parts, np.int64)
    arrival = np.zeros((parts, p))
    count = 0
    waiting = parents_left.copy()
    for k in range(parts):
        if waiting[k] == 0:
            ready[count] = k
            count += 1
    for step in range(parts):
        best = -1
        best_q = -1
        best_start = 0.0
        for i in range(count):
            k = ready[i]
            if (
                not earliest_first
                and best >= 0
                and (level[k] < level[best] or (level[k] == level[best] and k > best))
            ):
                continue
            for q in range(p):
                begin = arrival[k, q] if arrival[k, q] > free[q] else free[q]
                if best < 0:
                    better = True
                elif earliest_first:
                    better = begin < best_start or (
                        begin == best_start
                        and (
                            level[k] > level[best]
                            or (level[k] == level[best] and (k < best or (k == best and q < best_q)))
                        )
                    )
                elif k != best:
                    better = True
                else:
                    better = begin < best_start
                if better:
                    best = k
                    best_q = q
                    best_start = begin
        home[best] = best_q
        turn[best] = step
        now = free[best_q]
        for i in range(ptr[best], ptr[best + 1]):
            v = members[i]
            begin = now
            for e in range(g.pred_ptr[v], g.pred_ptr[v + 1]):
                u = g.pred[e]
                at = finish[u]
                if home[part[u]] != best_q:
                    at += g.pred_cost[e]
                if at > begin:
                    begin = at
            now = begin + times[v, best_q * het]
            finish[v] = now
        free[best_q] = now
        for i in range(count):
            if ready[i] == best:
                count -= 1
                ready[i] = ready[count]
                break
        for i in range(child_ptr[best], child_ptr[best + 1]):
            k = child[i]
            waiting[k] -= 1
            if waiting[k] == 0:
                ready[count] = k
                count += 1
                for j in range(ptr[k], ptr[k + 1]):
                    v = members[j]
                    for e in range(g.pred_ptr[v], g.pred_ptr[v + 1]):
                        u = g.pred[e]
                        if part[u] == k:
                            continue
                        for q in range(p):
                            at = finish[u]
                            if home[part[u]] != q:
                                at += g.pred_cost[e]
                            if at > arrival[k, q]:
                                arrival[k, q] = at
    return home, turn


def macro(problem: Problem, parts: int | None, *, earliest_first: bool) -> Draft:
    """Blocks placed multi-port, then run under the problem's ports; the shared half of the MACRO variants."""
    part = parts_of(problem, parts)
    coarse = quotient(problem.graph, part)
    order = descending(problem.g, b_levels(problem.g, problem.mean_times, 1.0))
    members = order[np.argsort(part[order], kind="stable")]
    ptr = np.concatenate(([0], np.cumsum(np.bincount(part)))).astype(np.int64)
    a = coarse.arrays
    home, turn = place_blocks(
        problem.g,
        part,
        ptr,
        members,
        np.diff(a.pred_ptr),
        a.succ_ptr,
        a.succ,
        b_levels(a, coarse.work, 1.0),
        problem.times,
        problem.p,
        earliest_first,
    )
    return simulate(problem, *block_lists(home, turn, ptr, members, problem.p))


def block_lists(home: Any, turn: Any, ptr: Any, members: Any, p: int) -> tuple[Any, Any]:
    """Per-processor task lists of parts run in the order of their turns."""
    sequence = np.lexsort((turn, home))
    lengths = np.diff(ptr)[sequence]
    first = ptr[:-1][sequence]
    offset = np.arange(members.size) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    task = np.ascontiguousarray(members[np.repeat(first, lengths) + offset])
    loads = np.bincount(home[sequence], weights=lengths, minlength=p).astype(np.int64)
    return np.concatenate(([0], np.cumsum(loads))).astype(np.int64), task
