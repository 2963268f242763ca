"""Least attained service (the ordering of Tiresias, NSDI 2019, without its queues)."""

from __future__ import annotations

from trainmaster.domain.task import Task
from trainmaster.policies.base import Discipline
from trainmaster.policies.ordering.common import PlainAdjustment


class Las(PlainAdjustment):
    """By seconds run × workers, then submission. A waiting task's service does not change while it waits."""

    name = "las"
    discipline = Discipline.SKIP

    def key(self, task: Task) -> tuple[float, ...]:
        return (task.ran_s * max(task.workers, task.spec.min_workers), task.seq)
