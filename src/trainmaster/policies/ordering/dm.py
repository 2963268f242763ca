"""Deadline monotonic (Leung and Whitehead 1982)."""

from __future__ import annotations

import math

from trainmaster.domain.task import Task
from trainmaster.policies.base import Discipline
from trainmaster.policies.ordering.common import PlainAdjustment


class Dm(PlainAdjustment):
    """By relative deadline (deadline − submission), then submission; tasks without one come last."""

    name = "dm"
    discipline = Discipline.STRICT

    def key(self, task: Task) -> tuple[float, ...]:
        deadline = task.spec.deadline
        return (math.inf if deadline is None else deadline - task.submitted_at, task.seq)
