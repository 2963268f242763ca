"""What orderings share."""

from __future__ import annotations

from trainmaster.domain.task import Task, Urgency

CHANGE_FACTOR = 0.1  # μ of RLPTO's equation 4


def raised(task: Task) -> float:
    """pr_t = pr_{t-1} + μN, with N = `task.bumps` requests in the period (RLPTO, equation 4)."""
    return round(task.priority + CHANGE_FACTOR * task.bumps, 9)


class PlainAdjustment:
    """Equation 4 without queues to move between."""

    def adjust(self, task: Task) -> tuple[Urgency, float]:
        return task.urgency, raised(task)
