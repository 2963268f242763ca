"""What was learnt of a task's training, from its history: after a restart of the service."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from trainmaster.domain.events import ProgressReported
from trainmaster.domain.history import Record, RecordKind
from trainmaster.domain.learned import NOTHING_LEARNED, Phase, learn
from trainmaster.scheduler.state import Progress, State

RECALLED = (
    RecordKind.TASK_ACCEPTED,
    RecordKind.TASK_REGROUPED,
    RecordKind.TASK_RESIZING,
    RecordKind.RESIZE_REQUESTED,
    RecordKind.TASK_CONVERGED,
)


def recall(state: State, reports: Iterable[ProgressReported], records: Iterable[Record]) -> None:
    """Learn again what the latest reports and records of one live task say, each in order of time.

    As when they came (`reactor.on_progress`, `elastic`), only the leader of the attempt counts.
    """
    told: list[Record | ProgressReported] = [*records, *reports]
    told.sort(key=lambda one: (one.time, isinstance(one, ProgressReported)))
    learned, metrics = NOTHING_LEARNED, dict[str, float]()
    attempt, leader, workers = 0, 0, 1
    for one in told:
        if isinstance(one, ProgressReported):
            task = one.run.task
            if one.run.rank == leader and one.run.attempt == (attempt or one.run.attempt):
                learned = learn(learned, one.time, one.step, workers, one.metrics)
                metrics |= one.metrics
                state.learned[task] = learned
                state.progress[task] = Progress(one.time, one.step, dict(metrics))
            continue
        if one.kind is RecordKind.TASK_ACCEPTED:
            attempt, leader, workers = one.attempt or 0, 0, int(one.detail["workers"])
        elif one.kind is RecordKind.TASK_REGROUPED:
            leader, workers = one.detail["members"][0], len(one.detail["members"])
        elif one.kind is RecordKind.TASK_RESIZING:
            learned = replace(learned, resized_at=one.time, resizes=learned.resizes + 1)
        elif one.kind is RecordKind.RESIZE_REQUESTED:
            learned = replace(learned, resized_at=None)
        elif one.kind is RecordKind.TASK_CONVERGED:
            learned = replace(learned, phase=Phase(one.detail["phase"]))
        if one.task is not None:
            state.learned[one.task] = learned
