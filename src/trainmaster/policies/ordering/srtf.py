"""Shortest remaining time first."""

from __future__ import annotations

import math

from trainmaster.domain.task import Task
from trainmaster.policies.base import Discipline
from trainmaster.policies.ordering.common import PlainAdjustment


class Srtf(PlainAdjustment):
    """By estimate − seconds run, then submission; tasks without an estimate come last."""

    name = "srtf"
    discipline = Discipline.SKIP

    def key(self, task: Task) -> tuple[float, ...]:
        estimate = task.spec.estimate_s
        return (math.inf if estimate is None else max(estimate - task.ran_s, 0.0), task.seq)
