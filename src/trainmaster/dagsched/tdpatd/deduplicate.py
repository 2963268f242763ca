"""TDPATD's third stage: delete a copy whose result another copy brings sooner (Algorithm 2)."""

# numba types the arguments of kernels when it compiles them.
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.errors import OptionError
from trainmaster.dagsched.jit import kernel
from trainmaster.dagsched.kernels.csr import grouped
from trainmaster.dagsched.problem import Draft, Problem
from trainmaster.dagsched.simulation import simulate

RULES = ("every_consumer", "first_child")


@kernel
def late_copies(g, task, processor, start, finish, first_only):
    """Which copies (i, q) end later than the data of the first finished copy of i would reach q.

    rct(i, q) > rct(i, p) + c(i, child), p the processor that completes i first (ties: the first in the
    list): for every child of i with a copy on q, or with ``first_only`` for the one that starts first there.
    A copy with no child on q goes if it ends later than the first. Returns a boolean array.
    """
    n = g.topo.size
    ptr_task, by_task = grouped(n, task)
    gone = np.empty(task.size, np.bool_)
    for k in range(task.size):
        gone[k] = False
    for i in range(n):
        if ptr_task[i + 1] - ptr_task[i] < 2:
            continue
        best = by_task[ptr_task[i]]
        for j in range(ptr_task[i], ptr_task[i + 1]):
            if finish[by_task[j]] < finish[best]:
                best = by_task[j]
        for j in range(ptr_task[i], ptr_task[i + 1]):
            k = by_task[j]
            if k == best:
                continue
            late = finish[k] > finish[best]
            if not late:
                # Then it is not later than the first with a transfer added either.
                continue
            earliest = np.inf
            for e in range(g.succ_ptr[i], g.succ_ptr[i + 1]):
                v = g.succ[e]
                for h in range(ptr_task[v], ptr_task[v + 1]):
                    child = by_task[h]
                    if processor[child] != processor[k]:
                        continue
                    holds = finish[k] > finish[best] + g.succ_cost[e]
                    if first_only:
                        if start[child] < earliest:
                            earliest = start[child]
                            late = holds
                    elif not holds:
                        late = False
                        break
                if not late and not first_only:
                    break
            gone[k] = late
    return gone


def deduplicate(problem: Problem, draft: Draft, *, rule: str = "every_consumer") -> Draft:
    """Delete late copies and run again, until none is left.

    ``rule`` "first_child" is the paper's test, which looks at the first child on the same processor only;
    a later child with a dearer edge may then wait longer. "every_consumer" (the default) asks it of every
    child there, and then no start is delayed. Copies found in one simulation go together: the first
    finished copy, on which the others are judged, always stays. Raises ``OptionError``.
    """
    if rule not in RULES:
        raise OptionError("rule", rule, f"must be one of {', '.join(RULES)}")
    rounds = 0
    deleted = 0
    while draft.task.size > problem.n:
        gone = late_copies(
            problem.g, draft.task, draft.processor, draft.start, draft.finish, rule == "first_child"
        )
        if not gone.any():
            break
        rounds += 1
        deleted += int(gone.sum())
        draft = simulate(problem, *draft.without(gone).lists(problem), **draft.report)
    draft.report.update(deleted_copies=deleted, rounds=rounds)
    return draft
