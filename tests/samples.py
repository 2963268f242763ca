"""Small domain values for tests."""

from __future__ import annotations

from typing import Any

from trainmaster.domain.history import Record, RecordKind
from trainmaster.domain.ids import NodeId, RunId, TaskId, task_id
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.run import Exit, LogChunk, Run, RunState, Stream
from trainmaster.domain.task import Task, TaskSpec
from trainmaster.domain.units import Resources


def make_task(seq: int, state: TaskState = TaskState.QUEUED, **fields: Any) -> Task:
    """A task; fields of its spec and of the task itself by name."""
    spec_fields = {name: value for name, value in fields.items() if name in TaskSpec.__dataclass_fields__}
    spec = TaskSpec(**{"name": f"task-{seq}", "command": ("python", "train.py"), **spec_fields})
    own = {name: value for name, value in fields.items() if name in Task.__dataclass_fields__}
    values = {"urgency": spec.urgency, "priority": spec.priority, "submitted_at": 1000.0 + seq, **own}
    return Task(id=task_id(seq * 2_654_435_761), seq=seq, spec=spec, state=state, **values)


def make_run(task: TaskId, attempt: int = 1, rank: int = 0, **fields: Any) -> Run:
    values = {"node": NodeId("n1"), "resources": Resources(1000, 2**30), **fields}
    return Run(id=RunId(task, attempt, rank), **values)


def ended_run(task: TaskId, attempt: int = 1, rank: int = 0, **fields: Any) -> Run:
    values = {"state": RunState.EXITED, "started_at": 5.0, "ended_at": 9.0, "exit": Exit(0), **fields}
    return make_run(task, attempt, rank, **values)


def make_record(task: TaskId | None = None, time: float = 1.0, **fields: Any) -> Record:
    return Record(time, RecordKind.TASK_SUBMITTED, task, **fields)


def chunk(
    run: RunId,
    data: bytes,
    offset: int = 0,
    *,
    stream: Stream = Stream.STDOUT,
    time: float = 50.0,
    last: bool = False,
) -> LogChunk:
    return LogChunk(run, stream, offset, data, time, last)
