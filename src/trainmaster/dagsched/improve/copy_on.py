"""Copies for a plan that stays where it is."""

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.improve.deduplicate import tighten
from trainmaster.dagsched.kernels.duplicate import duplicate_in_order
from trainmaster.dagsched.kernels.ranks import priority_order
from trainmaster.dagsched.problem import Draft, Problem

DEPTH, COPIES = 4, 8


def copy_on(problem: Problem, draft: Draft) -> Draft:
    """Every task on the processor of its first copy, in the order of the draft's starts, with critical
    parents copied into idle time.

    One candidate processor a task, so it costs 1/p of a full duplication; it adds to schedules whose
    processors are well chosen (ETF on wide graphs) what they cannot do.
    """
    start = np.full(problem.n, np.inf)
    np.minimum.at(start, draft.task, draft.start)
    first = draft.start <= start[draft.task]
    home = np.empty(problem.n, np.int64)
    home[draft.task[first]] = draft.processor[first]
    order = priority_order(problem.g, -start)
    columns = duplicate_in_order(problem.g, order, problem.times, problem.p, 1, DEPTH, COPIES, False, home)
    return tighten(problem, Draft(*columns))
