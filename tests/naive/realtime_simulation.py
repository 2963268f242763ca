"""A schedule of recurring tasks written out tick by tick: what really happens to given releases."""

from __future__ import annotations

from collections.abc import Sequence

from trainmaster.realtime.model import Order, Recurring, by_priority


class Job:
    def __init__(self, task: Recurring, rank: int, release: int) -> None:
        self.task = task
        self.rank = rank
        self.release = release
        self.due = release + task.deadline
        self.left = task.cost


def simulate(
    tasks: Sequence[Recurring],
    order: Order,
    workers: int,
    preemptive: bool,
    first: Sequence[int],
    until: int,
) -> tuple[dict[str, int], str | None]:
    """Release task i at first[i] and then every period, up to tick `until`, and run on until all is done.

    The longest response of each task that ended, and the first task found past its deadline (None if none
    was): the schedule stops there. Jobs of one task run one after the other. Work-conserving.
    """
    ranks = {task.name: rank for rank, task in enumerate(by_priority(tasks, order))}
    releases = sorted(
        (at, ranks[task.name], task)
        for task, begin in zip(tasks, first, strict=True)
        for at in range(begin, until, task.period)
    )
    releases.reverse()
    waiting: list[Job] = []
    running: list[Job] = []
    longest: dict[str, int] = {}
    now = 0
    while releases or waiting or running:
        while releases and releases[-1][0] <= now:
            at, rank, task = releases.pop()
            waiting.append(Job(task, rank, at))
        if preemptive:
            waiting, running = waiting + running, []
        waiting.sort(
            key=lambda job: (job.due if order is Order.EARLIEST else job.rank, job.rank, job.release)
        )
        busy = {job.task.name for job in running}
        for job in list(waiting):
            if len(running) == workers:
                break
            if job.task.name not in busy:
                waiting.remove(job)
                running.append(job)
                busy.add(job.task.name)
        if not running:
            now = releases[-1][0]
            continue
        step = min(job.left for job in running)
        if releases:
            step = min(step, max(releases[-1][0] - now, 1))
        now += step
        for job in running:
            job.left -= step
            if job.left == 0:
                name = job.task.name
                longest[name] = max(longest.get(name, 0), now - job.release)
        running = [job for job in running if job.left]
        for job in [*running, *waiting]:
            if now > job.due:
                return longest, job.task.name
        for name, response in longest.items():
            if response > next(task.deadline for task in tasks if task.name == name):
                return longest, name
    return longest, None
