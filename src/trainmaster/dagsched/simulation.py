"""The draft that per-processor orders of copies make."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainmaster.dagsched.errors import DeadlockError
from trainmaster.dagsched.kernels.ports import free_ports
from trainmaster.dagsched.kernels.simulate import simulate_lists
from trainmaster.dagsched.plan import TRANSFER
from trainmaster.dagsched.problem import Draft, Problem


def simulate(problem: Problem, ptr: Any, task: Any, **report: Any) -> Draft:
    """The draft of these per-processor orders under the problem's port model.

    Raises ``DeadlockError`` when the orders contradict the graph or leave out a parent.
    """
    start, finish, sequence, ran, source, begin = simulate_lists(
        problem.g,
        problem.times,
        ptr,
        task,
        free_ports(ptr.size - 1, problem.single),
        problem.mean_times,
        problem.mean_times,
        np.inf,
    )
    if ran < task.size:
        raise DeadlockError(_stuck(ptr, task, finish, start))
    processor = np.repeat(np.arange(ptr.size - 1, dtype=np.int32), np.diff(ptr))
    transfers = (
        _transfers(problem, task, processor, sequence, source, begin)
        if problem.single
        else np.zeros(0, TRANSFER)
    )
    return Draft(task, processor, start, finish, transfers, report)


def _transfers(problem: Problem, task: Any, processor: Any, sequence: Any, source: Any, begin: Any) -> Any:
    """The transfers in the order their targets ran; ``source`` and ``begin`` by edge of each copy."""
    g = problem.g
    degree = np.diff(g.pred_ptr)[task]
    copy = np.repeat(np.arange(task.size), degree)
    turn = np.empty(task.size, np.int64)
    turn[sequence] = np.arange(task.size)
    at = np.flatnonzero(source >= 0)
    at = at[np.argsort(turn[copy[at]], kind="stable")]
    target = copy[at]
    edge = g.pred_ptr[task[target]] + at - (np.cumsum(degree) - degree)[target]
    transfers = np.empty(at.size, TRANSFER)
    transfers["source"], transfers["target"] = task[source[at]], task[target]
    transfers["from_processor"], transfers["to_processor"] = processor[source[at]], processor[target]
    transfers["start"], transfers["finish"] = begin[at], begin[at] + g.pred_cost[edge]
    return transfers


def _stuck(ptr: Any, task: Any, finish: Any, start: Any) -> tuple[int, ...]:
    """Tasks at the first position of each list that never ran (their times stayed zero), at most eight."""
    stuck = []
    for q in range(ptr.size - 1):
        idle = np.flatnonzero((finish[ptr[q] : ptr[q + 1]] == 0) & (start[ptr[q] : ptr[q + 1]] == 0))
        if idle.size:
            stuck.append(int(task[ptr[q] + idle[0]]))
    return tuple(stuck[:8])
