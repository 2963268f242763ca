"""What the demo knows of its tasks, gathered from the service again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from trainmaster.cli.showcase.work import Job
from trainmaster.client import Client
from trainmaster.client.types import Metric, Task
from trainmaster.domain.lifecycle import OCCUPYING, TaskState


@dataclass(slots=True)
class Row:
    """One task: how it is, and how it came there."""

    job: Job
    task: Task
    accuracies: list[float] = field(default_factory=list)
    epoch: int = 0
    interrupted_at: int | None = None  # the epoch it had reached
    interrupted_by: str = ""
    resumed_at: int | None = None  # the epoch it went on with
    nodes: list[str] = field(default_factory=list)
    heard: float = 0.0  # time of the latest report
    told: str = ""  # the state last spoken of

    @property
    def accuracy(self) -> float | None:
        return self.accuracies[-1] if self.accuracies else None

    @property
    def training(self) -> bool:
        return TaskState(self.task.state) in OCCUPYING


class Watch:
    """Rows in the order of submission; `look` brings them up to date."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.rows: list[Row] = []

    def submit(self, jobs: list[Job]) -> None:
        """All in one transaction: the first decision sees them all, and so their priorities count."""
        for job, answer in zip(jobs, self._client.submit_many(job.fields for job in jobs), strict=True):
            if answer.id is None:
                self._client.submit(**job.fields)  # raises what was wrong
                raise AssertionError(f"refused at first: {answer.detail}")
            self.rows.append(Row(job, self._client.task(answer.id)))

    @property
    def ended(self) -> bool:
        return all(row.task.ended for row in self.rows)

    def look(self) -> list[str]:
        """Ask the service. Answers with what changed, in words."""
        news: list[str] = []
        now = {task.id: task for task in self._client.tasks()}
        for row in self.rows:
            was, row.task = row.task, now[row.task.id]
            if not was.ended:
                self._hear(row)
            for node in row.task.nodes:
                if not row.nodes or row.nodes[-1] != node:
                    row.nodes.append(node)
            if row.task.state != row.told:
                row.told = row.task.state
                news += self._changed(row)
        return news

    def _hear(self, row: Row) -> None:
        for metric in self._client.metrics(row.task.id, after=row.heard):
            if metric.time > row.heard:
                self._report(row, metric)

    def _report(self, row: Row, metric: Metric) -> None:
        row.heard = metric.time
        epoch = int(metric.values.get("epoch", metric.step))
        if metric.attempt > 1 and row.resumed_at is None:
            row.resumed_at = epoch
        row.epoch = epoch
        if "accuracy" in metric.values:
            row.accuracies.append(metric.values["accuracy"])

    def _changed(self, row: Row) -> Iterator[str]:
        task = row.task
        if task.state == TaskState.RUNNING:
            how = f"goes on, on {_on(row)}" if task.attempt > 1 else f"started on {_on(row)}"
            yield f"{row.job.name} {how}"
        elif task.state == TaskState.INTERRUPTED:
            row.interrupted_at = row.epoch
            row.interrupted_by = self._culprit()
            yield f"{row.job.name} yields to {row.interrupted_by} at epoch {row.epoch}"
        elif task.ended:
            row.nodes = self._all_nodes(task.id) or row.nodes
            told = f", accuracy {row.accuracy:.3f}" if row.accuracy is not None else ""
            yield f"{row.job.name} {task.state}{told}" + ("" if task.ok else f": {task.reason}")

    def _culprit(self) -> str:
        return next((row.job.name for row in self.rows if row.task.urgency == "highest"), "a higher one")

    def _all_nodes(self, task: str) -> list[str]:
        return list(dict.fromkeys(run.node for run in self._client.runs(task)))


def _on(row: Row) -> str:
    return ",".join(row.task.nodes) or "a node"
