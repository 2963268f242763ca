"""Domain values as rows of the tables in `schema`, and back."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from trainmaster.domain.cluster import Gauges, Node, NodeState, Quota
from trainmaster.domain.group import Group
from trainmaster.domain.history import Record, RecordKind
from trainmaster.domain.ids import NodeId, RunId, TaskId, UserName
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.run import Exit, Fault, Run, RunState
from trainmaster.domain.task import Intent, Part, Task, TaskSpec, Urgency
from trainmaster.domain.units import Resources
from trainmaster.ports import Metric
from trainmaster.store.schema import KEY

Row = tuple[Any, ...]

# Escapes everything outside ASCII, so that any text a user can type survives any database.
_encode = json.JSONEncoder(separators=(",", ":")).encode
_decode = json.JSONDecoder().decode


def _list(values: Sequence[Any]) -> str:
    return _encode(values) if values else "[]"  # mostly empty, and calling the encoder is felt in a bulk


def _object(values: Mapping[str, Any]) -> str:
    return _encode(values) if values else "{}"


def plain(text: str) -> str:
    """Text every database takes: NUL and lone surrogates become U+FFFD."""
    if text.isascii():
        return text.replace("\0", "\ufffd") if "\0" in text else text
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def finite(number: float) -> float:
    """Doubles in SQL have no NaN and no infinity: those become 0."""
    return number if math.isfinite(number) else 0.0


# --- tasks -------------------------------------------------------------------------------------------------

# The columns that change during a task's life, in the order of `task_changes`.
TASK_CHANGES = (
    "status", "priority", "urgency", "bumps", "attempt", "workers", "intent", "queued_at", "not_before",
    "accepted_at", "started_at", "first_started_at", "ended_at", "ran_s", "failures", "losses",
    "interruptions", "exit_code", "preempting", "result", "reason", "pinned", "membership",
)  # fmt: skip


def task_row(task: Task) -> Row:
    """All columns of `task`, in the order of the schema."""
    spec = task.spec
    command = shlex.join(spec.command) if spec.command else spec.function
    return (
        task.id,
        task.seq,
        plain(spec.name),
        plain(spec.user)[:KEY],
        spec.kind.value,
        task.state.value,
        finite(task.priority),
        task.urgency.value,
        plain(spec.image),
        plain(spec.directory),
        _list(spec.volumes),
        plain(command),
        _object(dict(spec.environment)),
        task.submitted_at,
        task.bumps,
        task.attempt,
        task.workers,
        task.intent.value,
        task.queued_at,
        task.not_before,
        task.accepted_at,
        task.started_at,
        task.first_started_at,
        task.ended_at,
        task.ran_s,
        task.failures,
        task.losses,
        task.interruptions,
        task.exit_code,
        int(task.preempting),
        None if task.result is None else plain(task.result),
        plain(task.reason),
        _encode(spec.to_dict()),
        task.pinned,
        None if task.group is None else _encode(task.group.to_dict()),
        *_part_columns(spec.part),
    )


def _part_columns(part: Part | None) -> Row:
    if part is None:
        return (None, None, None)
    return part.run, part.stage, _encode((part.key, part.round, part.index, part.total))


def task_changes(task: Task) -> Row:
    """The values of TASK_CHANGES, then the id."""
    return (
        task.state.value,
        finite(task.priority),
        task.urgency.value,
        task.bumps,
        task.attempt,
        task.workers,
        task.intent.value,
        task.queued_at,
        task.not_before,
        task.accepted_at,
        task.started_at,
        task.first_started_at,
        task.ended_at,
        task.ran_s,
        task.failures,
        task.losses,
        task.interruptions,
        task.exit_code,
        int(task.preempting),
        None if task.result is None else plain(task.result),
        plain(task.reason),
        task.pinned,
        None if task.group is None else _encode(task.group.to_dict()),
        task.id,
    )


def task_of(row: Sequence[Any]) -> Task:
    """A task from (id, seq, submitted_at, spec) and the columns TASK_CHANGES."""
    (
        task_id, seq, submitted_at, spec, status, priority, urgency, bumps, attempt, workers, intent,
        queued_at, not_before, accepted_at, started_at, first_started_at, ended_at, ran_s, failures, losses,
        interruptions, exit_code, preempting, result, reason, pinned, membership,
    ) = row  # fmt: skip
    return Task(
        id=TaskId(task_id),
        seq=seq,
        spec=TaskSpec.from_dict(_decode(spec)),
        state=TaskState(status),
        submitted_at=submitted_at,
        urgency=Urgency(urgency),
        priority=priority,
        bumps=bumps,
        attempt=attempt,
        workers=workers,
        intent=Intent(intent),
        queued_at=queued_at,
        not_before=not_before,
        accepted_at=accepted_at,
        started_at=started_at,
        first_started_at=first_started_at,
        ended_at=ended_at,
        ran_s=ran_s,
        failures=failures,
        losses=losses,
        interruptions=interruptions,
        exit_code=exit_code,
        result=result,
        reason=reason,
        preempting=bool(preempting),
        pinned=pinned,
        group=None if membership is None else Group.from_dict(_decode(membership)),
    )


def label_rows(task: Task) -> list[Row]:
    """Labels, so that tasks are found by them; the beginning of long ones."""
    return [
        (task.id, name, value)
        for name, value in {label(name): label(value) for name, value in task.spec.labels}.items()
    ]


def label(text: str) -> str:
    """A label's name or value as it is kept for finding tasks."""
    return plain(text)[:KEY]


def dependency_rows(task: Task) -> list[Row]:
    return [(task.id, needs) for needs in dict.fromkeys(task.spec.after)]


# --- runs --------------------------------------------------------------------------------------------------


def run_row(run: Run) -> Row:
    end = run.exit
    return (
        str(run.id),
        run.id.task,
        run.id.attempt,
        run.id.rank,
        run.node,
        run.state.value,
        run.resources.cpu_m,
        run.resources.memory,
        run.resources.gpus,
        run.resources.lanes,
        _list(run.devices),
        run.launched_at,
        run.started_at,
        run.ended_at,
        int(run.stopping),
        None if end is None else end.code,
        None if end is None else end.fault.value,
        None if end is None else plain(end.detail),
        None if end is None or end.result is None else plain(end.result),
    )


def run_of(row: Sequence[Any]) -> Run:
    """A run from all columns of its table."""
    (
        _, task, attempt, rank, node, status, cpu_m, memory, gpus, lanes, devices, launched_at, started_at,
        ended_at, stopping, exit_code, fault, detail, result,
    ) = row  # fmt: skip
    return Run(
        id=RunId(TaskId(task), attempt, rank),
        node=NodeId(node),
        resources=Resources(cpu_m, memory, gpus, lanes),
        state=RunState(status),
        devices=tuple(_decode(devices)),
        launched_at=launched_at,
        started_at=started_at,
        ended_at=ended_at,
        exit=None if fault is None else Exit(exit_code, Fault(fault), detail or "", result),
        stopping=bool(stopping),
    )


# --- history, metrics --------------------------------------------------------------------------------------


def record_row(seq: int, record: Record) -> Row:
    return (
        seq,
        record.time,
        record.kind.value,
        record.task,
        record.attempt,
        record.node,
        plain(record.reason),
        _object(record.detail),
    )


def record_of(row: Sequence[Any]) -> tuple[int, Record]:
    seq, time, kind, task, attempt, node, reason, detail = row
    return seq, Record(
        time=time,
        kind=RecordKind(kind),
        task=None if task is None else TaskId(task),
        attempt=attempt,
        node=None if node is None else NodeId(node),
        reason=reason,
        detail=_decode(detail),
    )


def metric_row(metric: Metric) -> Row:
    run = metric.run
    return (
        run.task,
        run.attempt,
        run.rank,
        metric.time,
        finite(metric.step),
        _encode(dict(metric.values)),
    )


def metric_of(row: Sequence[Any]) -> Metric:
    task, attempt, rank, time, step, values = row
    return Metric(RunId(TaskId(task), attempt, rank), time, step, _decode(values))


# --- nodes, quotas -----------------------------------------------------------------------------------------


def node_row(node: Node) -> Row:
    gauges = node.gauges
    return (
        node.id,
        node.state.value,
        plain(node.address),
        node.capacity.cpu_m,
        node.capacity.memory,
        node.capacity.gpus,
        node.capacity.lanes,
        _encode(node.labels),
        _encode({name: getattr(gauges, name) for name in _GAUGES}),
        finite(node.index),
        node.seen_at,
        node.joined_at,
        int(node.containers),
        plain(node.incarnation),
    )


_GAUGES = tuple(Gauges.__dataclass_fields__)


def gauges_of(told: Mapping[str, Any]) -> Gauges:
    """From JSON, whose unknown names are left out."""
    measured = {name: value for name, value in told.items() if name in _GAUGES}
    for name in ("gpu", "gpu_memory"):
        measured[name] = tuple(measured.get(name, ()))
    return Gauges(**measured)


def node_of(row: Sequence[Any]) -> Node:
    (
        node_id, status, address, cpu_m, memory, gpus, lanes, labels, gauges, index, seen_at, joined_at,
        containers, incarnation,
    ) = row  # fmt: skip
    return Node(
        id=NodeId(node_id),
        capacity=Resources(cpu_m, memory, gpus, lanes),
        labels=tuple((name, value) for name, value in _decode(labels)),
        address=address,
        state=NodeState(status),
        gauges=gauges_of(_decode(gauges)),
        index=index,
        seen_at=seen_at,
        joined_at=joined_at,
        containers=bool(containers),
        incarnation=incarnation,
    )


def quota_row(quota: Quota) -> Row:
    return quota.user, quota.running_workers, quota.queued_tasks


def quota_of(row: Sequence[Any]) -> Quota:
    owner, running_workers, queued_tasks = row
    return Quota(UserName(owner), running_workers, queued_tasks)
