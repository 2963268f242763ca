"""The draft that per-processor orders of copies make."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainmaster.dagsched.errors import DeadlockError
from trainmaster.dagsched.kernels.simulate import simulate_lists
from trainmaster.dagsched.plan import TRANSFER
from trainmaster.dagsched.problem import Draft, Problem


def simulate(problem: Problem, ptr: Any, task: Any, **report: Any) -> Draft:
    """The draft of these per-processor orders under the problem's port model.

    Raises ``DeadlockError`` when the orders contradict the graph or leave out a parent.
    """
    start, finish, ran, target, source, begin, end = simulate_lists(
        problem.g, problem.times, ptr, task, problem.single
    )
    if ran < task.size:
        raise DeadlockError(_stuck(ptr, task, finish, start))
    processor = np.repeat(np.arange(ptr.size - 1, dtype=np.int32), np.diff(ptr))
    transfers = np.empty(target.size, TRANSFER)
    transfers["source"], transfers["target"] = task[source], task[target]
    transfers["from_processor"], transfers["to_processor"] = processor[source], processor[target]
    transfers["start"], transfers["finish"] = begin, end
    return Draft(task, processor, start, finish, transfers, report)


def _stuck(ptr: Any, task: Any, finish: Any, start: Any) -> tuple[int, ...]:
    """Tasks at the first position of each list that never ran (their times stayed zero), at most eight."""
    stuck = []
    for q in range(ptr.size - 1):
        idle = np.flatnonzero((finish[ptr[q] : ptr[q + 1]] == 0) & (start[ptr[q] : ptr[q + 1]] == 0))
        if idle.size:
            stuck.append(int(task[ptr[q] + idle[0]]))
    return tuple(stuck[:8])
