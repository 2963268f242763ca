"""FS: the nodes are split evenly over the concurrent tasks."""

from __future__ import annotations

from collections.abc import Mapping

from trainmaster.domain.ids import TaskId
from trainmaster.policies.base import AllotmentView


class Fair:
    """Equal shares for all elastic tasks, running and waiting, inside each one's bounds.

    What a task cannot use (its maximum is below the share) or must have (its minimum is above) is taken out
    first and the rest is split again, until nothing changes. Remainders go to the earliest submitted.
    """

    name = "fair"

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        tasks = [task for task, _ in view.running] + list(view.waiting)
        if not tasks:
            return {}
        held = sum(workers for _, workers in view.running)
        room = held + max((view.places.get(task.id, 0) for task in tasks), default=0)
        open_tasks = sorted(tasks, key=lambda task: task.seq)
        share: dict[TaskId, int] = {}
        while open_tasks:
            even = max(room, 0) // len(open_tasks)
            bounded = [t for t in open_tasks if t.spec.max_workers <= even or t.spec.min_workers >= even]
            if not bounded:
                extra = room - even * len(open_tasks)
                for place, task in enumerate(open_tasks):
                    share[task.id] = min(even + (place < extra), task.spec.max_workers)
                break
            for task in bounded:
                share[task.id] = min(max(even, task.spec.min_workers), task.spec.max_workers)
                room -= share[task.id]
            open_tasks = [t for t in open_tasks if t.id not in share]
        return share
