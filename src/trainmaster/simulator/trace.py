"""What happened in a simulated run over time: who was where, and how full and how useful the cluster was.

Unlike a `Report` this grows with the run: bars by worker, points by step that changed something.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trainmaster.domain.cluster import Node
from trainmaster.domain.ids import NodeId, RunId, TaskId
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.task import Task, Urgency
from trainmaster.scheduler.state import Outcome
from trainmaster.simulator.report import Report
from trainmaster.simulator.world import Lived


@dataclass(frozen=True, slots=True)
class Bar:
    """A worker of a task on a node, from its launch until its resources were free again. Seconds."""

    task: TaskId
    node: NodeId
    rank: int
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Point:
    """From `time` on: tasks that wait, tasks that run, workers, and the points earned so far."""

    time: float
    waiting: int
    running: int
    workers: int
    reward: float


def points(task: Task) -> float:
    """What a task that succeeds earns: 80 at the highest urgency, else 10 to 40 by its priority (RLPTO,
    section V-B4; its priorities 1 to 4 are ours from 0 to 3)."""
    if task.urgency is Urgency.HIGHEST:
        return 80.0
    return 10.0 * min(max(task.priority + 1, 1.0), 4.0)


class Trace(Report):
    """A report that also keeps the course of the run; at most `most` bars (the rest only count)."""

    def __init__(self, earns: Callable[[Task], float] = points, most: int = 20_000) -> None:
        super().__init__()
        self.bars: list[Bar] = []
        self.points: list[Point] = []
        self.names: dict[TaskId, str] = {}
        self.left_out = 0
        self.reward = 0.0
        self._earns, self._most = earns, most
        self._open: dict[RunId, tuple[NodeId, float]] = {}
        self._waiting: set[TaskId] = set()
        self._running: set[TaskId] = set()

    def take(self, outcome: Outcome, now: float) -> None:
        super().take(outcome, now)
        for run in outcome.runs.values():
            if run.live:
                self._open.setdefault(run.id, (run.node, now))
            elif run.id in self._open:
                self._close(run.id, now)
        for task in outcome.tasks.values():
            waits = task.state in (TaskState.QUEUED, TaskState.INTERRUPTED, TaskState.BLOCKED)
            runs = task.state in (TaskState.RUNNING, TaskState.RESIZING)
            (self._waiting.add if waits else self._waiting.discard)(task.id)
            (self._running.add if runs else self._running.discard)(task.id)
            if task.state is TaskState.SUCCEEDED:
                self.reward += self._earns(task)
        if outcome.tasks or outcome.runs:
            point = Point(now, len(self._waiting), len(self._running), len(self._open), self.reward)
            if self.points and self.points[-1].time == now:
                self.points[-1] = point
            else:
                self.points.append(point)

    def ended(self, task: Task, life: Lived | None) -> None:
        super().ended(task, life)
        if len(self.names) < self._most:
            self.names[task.id] = task.spec.name

    def finish(self, now: float) -> None:
        """End the bars of what still runs."""
        for run in list(self._open):
            self._close(run, now)

    def _close(self, run: RunId, now: float) -> None:
        node, begin = self._open.pop(run)
        if len(self.bars) < self._most:
            self.bars.append(Bar(run.task, node, run.rank, begin, now))
        else:
            self.left_out += 1

    def reward_area(self) -> float:
        """The integral of the reward over time, until the last point: more, and earlier, is better."""
        pairs = itertools.pairwise(self.points)
        return sum(before.reward * (after.time - before.time) for before, after in pairs)


def rows_of(bars: Sequence[Bar], nodes: Sequence[Node]) -> dict[NodeId, list[list[Bar]]]:
    """By node the rows its bars need so that none overlap, each bar in the first row that is free."""
    rows: dict[NodeId, list[list[Bar]]] = {node.id: [] for node in nodes}
    for bar in sorted(bars, key=lambda bar: (bar.begin, bar.end, bar.task, bar.rank)):
        mine = rows.setdefault(bar.node, [])
        for row in mine:
            if row[-1].end <= bar.begin:
                row.append(bar)
                break
        else:
            mine.append([bar])
    return rows
