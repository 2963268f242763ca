"""Follow a static plan: tasks in the order of their planned starts."""

from __future__ import annotations

from trainmaster.domain.task import Task
from trainmaster.policies.base import Discipline
from trainmaster.policies.ordering.common import PlainAdjustment


class PlanOrder(PlainAdjustment):
    """By planned start, then the turn on the node, then submission.

    The planned start counts from the submission, so plans that run side by side take turns; a task without
    a plan stands where one that should start at once would. Tasks are only ranked: a later one goes first
    while an earlier one still waits for its dependencies or its node, so a late task delays nobody in vain.
    """

    name = "plan"
    discipline = Discipline.SKIP

    def key(self, task: Task) -> tuple[float, ...]:
        planned = task.spec.planned
        if planned is None:
            return (task.submitted_at, 0, task.seq)
        return (task.submitted_at + planned.start_s, planned.position, task.seq)
