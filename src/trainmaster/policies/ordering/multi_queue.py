"""RLPTO's three queues (section V)."""

from __future__ import annotations

from dataclasses import dataclass

from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.task import Task, Urgency
from trainmaster.policies.base import Discipline
from trainmaster.policies.ordering.common import raised


@dataclass(frozen=True, slots=True)
class MultiQueue:
    """The interrupt queue first, then the urgent, then the normal one; inside each by priority, then age.

    A normal task whose priority passes `threshold` becomes urgent, an urgent one that falls below it becomes
    normal; either way its priority is reset. The paper gives neither threshold nor reset value: we use 5 and
    reset to the threshold itself, which puts a promoted task last among the urgent and a demoted one
    first among the normal, and cannot flap. A task of the highest urgency precedes the interrupt queue, else
    the task it interrupted would take its place back at once (our reading; the paper is silent).
    """

    threshold: float = 5.0
    name: str = "multi_queue"
    discipline: Discipline = Discipline.STRICT

    def key(self, task: Task) -> tuple[float, ...]:
        if task.urgency is Urgency.HIGHEST:
            queue = 0
        elif task.state is TaskState.INTERRUPTED:
            queue = 1
        else:
            queue = 2 if task.urgency is Urgency.URGENT else 3
        return (queue, -task.priority, task.seq)

    def adjust(self, task: Task) -> tuple[Urgency, float]:
        priority = raised(task)
        if task.urgency is Urgency.NORMAL and priority > self.threshold:
            return Urgency.URGENT, self.threshold
        if task.urgency is Urgency.URGENT and priority < self.threshold:
            return Urgency.NORMAL, self.threshold
        return task.urgency, priority
