"""Duplication of critical-parent chains, bounded, without copies that nobody needs."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainmaster.dagsched.errors import OptionError
from trainmaster.dagsched.improve.deduplicate import tighten
from trainmaster.dagsched.kernels.duplicate import duplicate_in_order
from trainmaster.dagsched.kernels.earliest import earliest_task_first
from trainmaster.dagsched.kernels.ranks import b_levels, descending, priority_order
from trainmaster.dagsched.problem import Draft, Problem

ORDERS = ("b_level", "static_level", "etf")
EVERY_PROCESSOR_UP_TO = 60_000


def duplication(
    problem: Problem,
    *,
    order: str = "b_level",
    depth: int = 4,
    copies: int = 8,
    earliest: int = 3,
    every: bool | None = None,
) -> Draft:
    """HEFT with gaps that copies the parents a task waits for into idle time on its processor.

    ``order``: falling "b_level" or "static_level", or the order in which "etf" starts tasks. ``depth``:
    length of a chain of critical parents tried at once; ``copies``: at most so many for one task.
    Candidates are the processors of the parents' copies and the ``earliest`` free ones; with ``every``
    (the default while tasks × processors stay below 60,000) all. Planned multi-port, pruned and
    re-simulated under the problem's ports. After the family of critical-parent duplication (Ahmad &
    Kwok, IEEE TPDS 9, 1998), bounded. Ties: fewer copies, then the lower processor.
    """
    for name, value in (("depth", depth), ("copies", copies), ("earliest", earliest)):
        if not 1 <= value <= 1 << 20:
            raise OptionError(name, value, "must be at least 1")
    if every is None:
        every = problem.n * problem.p <= EVERY_PROCESSOR_UP_TO
    columns = duplicate_in_order(
        problem.g,
        task_order(problem, order),
        problem.times,
        problem.p,
        earliest,
        depth,
        copies,
        every,
        np.full(problem.n, -1, np.int64),
    )
    return tighten(problem, Draft(*columns))


def task_order(problem: Problem, order: str) -> Any:
    """The tasks in the named topological order. Raises ``OptionError``."""
    if order == "b_level":
        return descending(problem.g, b_levels(problem.g, problem.mean_times, 1.0))
    if order == "static_level":
        return descending(problem.g, b_levels(problem.g, problem.mean_times, 0.0))
    if order == "etf":
        priority = b_levels(problem.g, problem.mean_times, 1.0)
        _, start, _ = earliest_task_first(problem.g, priority, problem.times, problem.p)
        # Priorities rather than a sort: tasks of no length may start together with their children.
        return priority_order(problem.g, -start)
    raise OptionError("order", order, f"must be one of {', '.join(ORDERS)}")
