"""Greedy by value density."""

from __future__ import annotations

from trainmaster.domain.task import Task
from trainmaster.policies.base import Discipline
from trainmaster.policies.ordering.common import PlainAdjustment


class Greedy(PlainAdjustment):
    """By priority per worker-second of the estimate, the largest first, then submission.

    Smith's rule (1956) with workers counted in. The urgency comes first; a task without an estimate has a
    density of 0, a negative priority a negative one.
    """

    name = "greedy"
    discipline = Discipline.SKIP

    def key(self, task: Task) -> tuple[float, ...]:
        estimate = task.spec.estimate_s
        density = 0.0 if estimate is None else task.priority / (estimate * task.spec.min_workers)
        return (-task.urgency, -density, task.seq)
