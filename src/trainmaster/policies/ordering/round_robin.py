"""Round robin."""

from __future__ import annotations

from trainmaster.domain.task import Task
from trainmaster.policies.base import Discipline
from trainmaster.policies.ordering.common import PlainAdjustment


class RoundRobinOrder(PlainAdjustment):
    """By the number of turns had, then since when it waits, then submission.

    A turn ends when the task ends, or when it is interrupted by a preemption policy or somebody's request; a
    time slice of its own is not cut by an ordering.
    """

    name = "round_robin"
    discipline = Discipline.SKIP

    def key(self, task: Task) -> tuple[float, ...]:
        waits = task.queued_at if task.queued_at is not None else task.submitted_at
        return (task.attempt, waits, task.seq)
