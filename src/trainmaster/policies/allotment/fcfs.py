"""First come, first served with all there is."""

from __future__ import annotations

from collections.abc import Mapping

from trainmaster.domain.ids import TaskId
from trainmaster.policies.base import AllotmentView


class FcfsAllotment:
    """The first task takes as many workers as fit, up to its maximum; later ones take what is left."""

    name = "fcfs"

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        wanted: dict[TaskId, int] = {}
        for task in view.waiting:
            room = view.places.get(task.id, 0)
            wanted[task.id] = max(task.spec.min_workers, min(task.spec.max_workers, room))
        return wanted
