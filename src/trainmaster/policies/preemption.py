"""Who yields when somebody more important finds no room."""

from __future__ import annotations

from collections.abc import Sequence

from trainmaster.domain.task import Task, Urgency


class NoPreemption:
    """Nobody is ever interrupted."""

    name = "none"

    def may(self, task: Task) -> bool:
        return False

    def order(self, task: Task, running: Sequence[Task]) -> list[Task]:
        return []


class NewestFirst:
    """RLPTO, section V.B: for a task of the highest urgency the newest-started one is interrupted.

    Tasks that are themselves of the highest urgency never yield. Ties: the later submitted yields.
    """

    name = "newest_first"

    def may(self, task: Task) -> bool:
        return task.urgency is Urgency.HIGHEST

    def order(self, task: Task, running: Sequence[Task]) -> list[Task]:
        yielding = [other for other in running if other.urgency is not Urgency.HIGHEST]
        return sorted(yielding, key=lambda other: (-(other.accepted_at or 0.0), -other.seq))


class LowestPriority:
    """A task interrupts tasks strictly below it in urgency or, at equal urgency, priority: the lowest first.

    Among equals the newest-started yields, since it loses the least work.
    """

    name = "lowest_priority"

    def may(self, task: Task) -> bool:
        return True

    def order(self, task: Task, running: Sequence[Task]) -> list[Task]:
        mine = (task.urgency, task.priority)
        below = [other for other in running if (other.urgency, other.priority) < mine]
        return sorted(
            below, key=lambda other: (other.urgency, other.priority, -(other.accepted_at or 0.0), -other.seq)
        )
