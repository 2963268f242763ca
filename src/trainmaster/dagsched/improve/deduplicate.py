"""Dropping copies that nobody needs, then running everything as early as that allows."""

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.kernels.prune import superfluous_copies
from trainmaster.dagsched.problem import Draft, Problem
from trainmaster.dagsched.simulation import simulate

ROUNDS = 4


def tighten(problem: Problem, draft: Draft) -> Draft:
    """Drop superfluous copies and re-simulate, at most four times, while copies still go.

    Multi-port the makespan never rises: dropping keeps every start and the simulation only brings starts
    forward. Under single ports the result is what the ports make of the pruned lists.
    """
    for turn in range(ROUNDS):
        if draft.task.size > problem.n:
            gone = superfluous_copies(problem.g, draft.task, draft.processor, draft.start, draft.finish)
        else:
            gone = np.zeros(draft.task.size, np.bool_)
        settled = not gone.any()
        if settled and turn > 0 and draft.in_order:
            # The same lists would run once more.
            break
        draft = simulate(problem, *draft.without(gone).lists(problem), **draft.report)
        if settled:
            break
    return draft
