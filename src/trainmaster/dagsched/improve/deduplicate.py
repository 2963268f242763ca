"""Dropping copies that nobody needs, then running everything as early as that allows."""

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.kernels.prune import copies_by_task, superfluous_copies
from trainmaster.dagsched.problem import Draft, Problem
from trainmaster.dagsched.simulation import simulate

ROUNDS = 4


def tighten(problem: Problem, draft: Draft) -> Draft:
    """Drop superfluous copies and re-simulate, at most four times, while copies still go.

    Multi-port the makespan never rises: dropping keeps every start and the simulation only brings starts
    forward. Under single ports the result is what the ports make of the pruned lists.
    """
    for _ in range(ROUNDS):
        if draft.task.size > problem.n:
            ptr, by_task = copies_by_task(problem.n, draft.task)
            gone = superfluous_copies(
                problem.g, draft.task, draft.processor, draft.start, draft.finish, ptr, by_task
            )
        else:
            gone = np.zeros(draft.task.size, np.bool_)
        kept = Draft(
            draft.task[~gone],
            draft.processor[~gone],
            draft.start[~gone],
            draft.finish[~gone],
            report=draft.report,
        )
        draft = simulate(problem, *kept.lists(problem), **draft.report)
        if not gone.any():
            break
    return draft
