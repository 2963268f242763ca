"""No elasticity."""

from __future__ import annotations

from collections.abc import Mapping

from trainmaster.domain.ids import TaskId
from trainmaster.policies.base import AllotmentView


class Fixed:
    """Every task gets its minimum and keeps what it has."""

    name = "fixed"
    suspends = False

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        return {claim.task.id: claim.workers or claim.least for claim in view.claims}
