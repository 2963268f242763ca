"""Earliest deadline first (Liu and Layland 1973)."""

from __future__ import annotations

import math

from trainmaster.domain.task import Task
from trainmaster.policies.base import Discipline
from trainmaster.policies.ordering.common import PlainAdjustment


class Edf(PlainAdjustment):
    """By absolute deadline, then submission; tasks without one come last."""

    name = "edf"
    discipline = Discipline.STRICT

    def key(self, task: Task) -> tuple[float, ...]:
        deadline = task.spec.deadline
        return (math.inf if deadline is None else deadline, task.seq)
