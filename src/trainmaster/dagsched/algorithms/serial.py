"""Everything on one processor."""

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.problem import Draft, Problem


def serial(problem: Problem) -> Draft:
    """All tasks in topological order, without a pause, on the processor of least total time (lowest number).

    No communication at all: on graphs of high CCR often better than a list scheduler.
    """
    q = int(problem.times.sum(axis=0).argmin())
    order = problem.g.topo
    finish = np.empty(problem.n)
    finish[order] = np.cumsum(problem.times[order, q])
    start = np.zeros(problem.n)
    start[order[1:]] = finish[order[:-1]]
    return Draft(order.copy(), np.full(problem.n, q, np.int32), start[order], finish[order])
