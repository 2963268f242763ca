"""Shortest job first."""

from __future__ import annotations

import math

from trainmaster.domain.task import Task
from trainmaster.policies.base import Discipline
from trainmaster.policies.ordering.common import PlainAdjustment


class Sjf(PlainAdjustment):
    """By estimated duration, then submission; tasks without an estimate come after all that have one.

    Short tasks pass long ones by design, so a task that does not fit holds up nobody.
    """

    name = "sjf"
    discipline = Discipline.SKIP

    def key(self, task: Task) -> tuple[float, ...]:
        estimate = task.spec.estimate_s
        return (estimate if estimate is not None else math.inf, task.seq)
