"""Partitioned scheduling: every task on one worker of its own choosing, each worker tested by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trainmaster.realtime.model import Recurring, Verdict

Test = Callable[[Sequence[Recurring]], Verdict]


def first_fit(
    tasks: Sequence[Recurring], workers: int, test: Test
) -> tuple[list[list[Recurring]], str | None]:
    """Tasks by falling utilisation, each to the first worker whose test still passes (Oh and Baker 1998).

    The tasks of each worker, and the name of the first that fits nowhere (None if all do). Ties of
    utilisation go to the one given first.
    """
    parts: list[list[Recurring]] = [[] for _ in range(workers)]
    for task in sorted(tasks, key=lambda task: task.utilisation, reverse=True):
        for part in parts:
            if test([*part, task]).feasible:
                part.append(task)
                break
        else:
            return parts, task.name
    return parts, None


def partitioned(tasks: Sequence[Recurring], workers: int, test: Test, name: str) -> Verdict:
    """Feasible if first-fit finds a partition; if not, another partition or another algorithm may."""
    parts, left = first_fit(tasks, workers, test)
    if left is not None:
        return Verdict(f"partitioned-{name}", None, False, f"first-fit finds no worker for {left}")
    places = "; ".join(
        f"worker {number}: {', '.join(task.name for task in part) or 'idle'}"
        for number, part in enumerate(parts, 1)
    )
    return Verdict(f"partitioned-{name}", True, False, places)
