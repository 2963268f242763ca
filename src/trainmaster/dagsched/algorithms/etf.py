"""Earliest task first (ETF)."""

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.frames import by_scan
from trainmaster.dagsched.kernels.earliest import earliest_task_first
from trainmaster.dagsched.kernels.ranks import b_levels
from trainmaster.dagsched.kernels.readyscan import BY_START
from trainmaster.dagsched.problem import Draft, Problem, one_copy_each


def etf(problem: Problem) -> Draft:
    """Always the (ready task, processor) pair of least start.

    Hwang, Chow, Anger & Lee, SIAM J. Comput. 18 (1989). Ties: higher b-level, then the lower task; of
    processors see the kernels. Multi-port in O(n (log n + p) + m); with single ports every ready pair is
    looked at again before each choice.
    """
    priority = b_levels(problem.g, problem.mean_times, 1.0)
    if problem.single:
        return by_scan(problem, priority, BY_START)
    processor, start, finish = earliest_task_first(problem.g, priority, problem.times, problem.p)
    return one_copy_each(problem, processor, start, finish, np.empty(0))
