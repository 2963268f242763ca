"""Whether an attempt that ended badly is followed by another, and when."""

from __future__ import annotations

from trainmaster.domain.chance import uniform
from trainmaster.domain.run import Exit, Fault
from trainmaster.domain.task import Task

# Trying again cannot help: the description is wrong, not the moment.
_HOPELESS = frozenset(
    {Fault.COMMAND_NOT_FOUND, Fault.DIRECTORY_MISSING, Fault.IMAGE_NOT_FOUND, Fault.VOLUME_REFUSED}
)


def delay_before_next(task: Task, exit_: Exit, seed: int) -> float | None:
    """Seconds to wait before the next attempt after a failure, or None if there is none.

    `task.failures` counts the failure at hand. The wait is min(backoff·factor^(k-1), max) less a seeded
    jitter, where k is the number of failures so far.
    """
    retry = task.spec.retry
    if task.failures >= retry.attempts or exit_.fault in _HOPELESS:
        return None
    if retry.on_exits and exit_.code not in retry.on_exits:
        return None
    wait = min(retry.backoff_s * retry.factor ** (task.failures - 1), retry.max_backoff_s)
    return wait * (1.0 - retry.jitter * uniform(seed, task.seq, task.attempt))


def retries_loss(task: Task) -> bool:
    """May a task whose node vanished (`task.losses` times, this one counted) be tried elsewhere?"""
    return task.losses <= task.spec.retry.lost_attempts
