"""No elasticity."""

from __future__ import annotations

from collections.abc import Mapping

from trainmaster.domain.ids import TaskId
from trainmaster.policies.base import AllotmentView


class Fixed:
    """Every task gets its minimum and keeps it."""

    name = "fixed"

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        return {task.id: task.spec.min_workers for task in view.waiting}
