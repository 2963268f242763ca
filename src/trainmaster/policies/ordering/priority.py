"""Highest priority first."""

from __future__ import annotations

from trainmaster.domain.task import Task
from trainmaster.policies.base import Discipline
from trainmaster.policies.ordering.common import PlainAdjustment


class Priority(PlainAdjustment):
    """By urgency, then priority, then submission."""

    name = "priority"
    discipline = Discipline.STRICT

    def key(self, task: Task) -> tuple[float, ...]:
        return (-task.urgency, -task.priority, task.seq)
