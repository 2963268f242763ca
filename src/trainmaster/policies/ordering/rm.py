"""Rate monotonic (Liu and Layland 1973)."""

from __future__ import annotations

import math

from trainmaster.domain.task import Task
from trainmaster.policies.base import Discipline
from trainmaster.policies.ordering.common import PlainAdjustment


class Rm(PlainAdjustment):
    """By period, the shortest first, then submission.

    The period in seconds is the label `period_s`, which triggers give to what they fire; a task without one
    (or with one that is no number) comes last.
    """

    name = "rm"
    discipline = Discipline.STRICT

    def key(self, task: Task) -> tuple[float, ...]:
        try:
            period = float(dict(task.spec.labels).get("period_s", math.inf))
        except ValueError:
            period = math.inf
        return (period, task.seq)
