"""First come, first served."""

from __future__ import annotations

from trainmaster.domain.task import Task
from trainmaster.policies.base import Discipline
from trainmaster.policies.ordering.common import PlainAdjustment


class Fcfs(PlainAdjustment):
    """By submission. A task that does not fit holds up everything that competes for its nodes."""

    name = "fcfs"
    discipline = Discipline.STRICT

    def key(self, task: Task) -> tuple[float, ...]:
        return (task.seq,)
