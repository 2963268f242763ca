"""The shapes of answers."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, Field

from trainmaster.api.requests import QuotaIn
from trainmaster.domain.cluster import Node, Quota
from trainmaster.domain.history import Record
from trainmaster.domain.run import Run, RunGauge
from trainmaster.domain.task import Task
from trainmaster.domain.units import Resources
from trainmaster.policies.registry import Profile
from trainmaster.ports import LogLine, TokenRow
from trainmaster.scheduler.explain import Explanation
from trainmaster.scheduler.state import Progress


class ProgressOut(BaseModel):
    time: float
    step: float
    metrics: dict[str, float]


class GroupOut(BaseModel):
    """The elastic group of the current attempt."""

    generation: int
    members: list[int] = Field(description="ranks of the workers that train, the leader first")
    settled: bool = Field(description="everybody trains in the latest generation")


class TaskOut(BaseModel):
    """A task as it is now. Times are seconds since the epoch, durations seconds."""

    id: str
    name: str
    kind: str
    state: str
    stopping: str = Field(description="why its workers are being stopped; empty if they are not")
    user: str
    urgency: str
    priority: float
    command: list[str]
    function: str
    image: str
    directory: str
    cpus: float
    memory: int
    gpus: int
    workers: int
    min_workers: int
    max_workers: int
    elasticity: str
    pinned: int | None = Field(description="the worker count somebody asked for; null: the policy's")
    group: GroupOut | None
    attempt: int
    failures: int
    losses: int
    interruptions: int
    submitted_at: float
    started_at: float | None
    first_started_at: float | None
    ended_at: float | None
    waited_s: float
    ran_s: float
    exit_code: int | None
    result: Any
    reason: str
    nodes: list[str]
    after: list[str]
    start_at: float | None = Field(description="not before this moment")
    trigger: str | None = Field(description="the id of the trigger whose firing it is")
    due: float | None = Field(description="the due time of that firing")
    labels: dict[str, str]
    progress: ProgressOut | None
    workflow_run: str | None = Field(description="the workflow run it is part of")
    stage: str | None = Field(description="and the stage there")

    @classmethod
    def of(
        cls, task: Task, now: float, progress: Progress | None = None, nodes: list[str] | None = None
    ) -> TaskOut:
        spec = task.spec
        return cls(
            id=task.id,
            name=spec.name,
            kind=spec.kind,
            state=task.state,
            stopping=task.intent,
            user=spec.user,
            urgency=task.urgency.name.lower(),
            priority=task.priority,
            command=list(spec.command),
            function=spec.function,
            image=spec.image,
            directory=spec.directory,
            cpus=spec.resources.cpu_m / 1000,
            memory=spec.resources.memory,
            gpus=spec.resources.gpus,
            workers=task.workers,
            min_workers=spec.min_workers,
            max_workers=spec.max_workers,
            elasticity=spec.elasticity,
            pinned=task.pinned,
            group=None
            if task.group is None
            else GroupOut(
                generation=task.group.generation,
                members=list(task.group.members),
                settled=task.group.settled,
            ),
            attempt=task.attempt,
            failures=task.failures,
            losses=task.losses,
            interruptions=task.interruptions,
            submitted_at=task.submitted_at,
            started_at=task.started_at,
            first_started_at=task.first_started_at,
            ended_at=task.ended_at,
            waited_s=task.waited_s(now),
            ran_s=task.running_s(now),
            exit_code=task.exit_code,
            result=json.loads(task.result) if task.result else None,
            reason=task.reason,
            nodes=nodes or [],
            after=list(spec.after),
            start_at=spec.start_at,
            trigger=spec.trigger or None,
            due=None if spec.due_ms is None else spec.due_ms / 1000,
            labels=dict(spec.labels),
            workflow_run=spec.part.run if spec.part is not None else None,
            stage=spec.part.stage if spec.part is not None else None,
            progress=ProgressOut(time=progress.time, step=progress.step, metrics=progress.metrics)
            if progress
            else None,
        )


class TaskPage(BaseModel):
    tasks: list[TaskOut]
    next: int | None = Field(description="pass as `before` for the next page; null at the end")
    counts: dict[str, int] = Field(description="all tasks by state")


class ManyItem(BaseModel):
    id: str | None = None
    code: str | None = None
    detail: str | None = None
    remedy: str | None = None


class ManyOut(BaseModel):
    """One answer per task, in order: an id, or why it was refused."""

    tasks: list[ManyItem]


class FactOut(BaseModel):
    topic: str
    text: str


class ExplanationOut(BaseModel):
    task: str
    state: str
    headline: str
    blocking: str
    facts: list[FactOut]
    position: int | None
    ahead: list[str]

    @classmethod
    def of(cls, told: Explanation) -> ExplanationOut:
        return cls(
            task=told.task,
            state=told.state,
            headline=told.headline,
            blocking=told.blocking,
            facts=[FactOut(topic=fact.topic, text=fact.text) for fact in told.facts],
            position=told.position,
            ahead=list(told.ahead),
        )


class RunOut(BaseModel):
    id: str
    attempt: int
    rank: int
    node: str
    state: str
    devices: list[int]
    launched_at: float
    started_at: float | None
    ended_at: float | None
    exit_code: int | None
    fault: str
    detail: str
    cpu: float | None = Field(None, description="cores in use")
    memory: int | None = Field(None, description="resident bytes")

    @classmethod
    def of(cls, run: Run, gauge: RunGauge | None = None) -> RunOut:
        return cls(
            id=str(run.id),
            attempt=run.id.attempt,
            rank=run.id.rank,
            node=run.node,
            state=run.state,
            devices=list(run.devices),
            launched_at=run.launched_at,
            started_at=run.started_at,
            ended_at=run.ended_at,
            exit_code=run.exit.code if run.exit else None,
            fault=run.exit.fault if run.exit else "",
            detail=run.exit.detail if run.exit else "",
            cpu=gauge.cpu if gauge else None,
            memory=gauge.memory if gauge else None,
        )


class EventOut(BaseModel):
    seq: int
    time: float
    kind: str
    task: str | None
    attempt: int | None
    node: str | None
    reason: str
    detail: dict[str, Any]

    @classmethod
    def of(cls, seq: int, record: Record) -> EventOut:
        return cls(
            seq=seq,
            time=record.time,
            kind=record.kind,
            task=record.task,
            attempt=record.attempt,
            node=record.node,
            reason=record.reason,
            detail=record.detail,
        )


class EventPage(BaseModel):
    events: list[EventOut]
    next: int = Field(description="pass as `after` to go on")


class MetricOut(BaseModel):
    attempt: int
    rank: int
    time: float
    step: float
    values: dict[str, float]


class LogLineOut(BaseModel):
    cursor: int
    time: float
    stream: str
    attempt: int
    rank: int
    text: str

    @classmethod
    def of(cls, line: LogLine) -> LogLineOut:
        return cls(
            cursor=line.cursor,
            time=line.time,
            stream=line.stream,
            attempt=line.attempt,
            rank=line.rank,
            text=line.text,
        )


class LogPageOut(BaseModel):
    lines: list[LogLineOut]
    older: int | None = Field(description="pass as `before` for the lines above; null at the beginning")
    newer: int | None = Field(description="pass as `after` for the lines below; null at the present end")
    complete: bool = Field(description="the task has ended and this is all it wrote")


class GaugesOut(BaseModel):
    time: float
    cpu: float
    memory: float
    gpu: list[float]
    disk: float
    disk_read: float
    disk_write: float
    net_received: float
    net_sent: float


class NodeOut(BaseModel):
    id: str
    state: str
    address: str
    cpus: float
    memory: int
    gpus: int
    lanes: int
    cpus_used: float
    memory_used: int
    gpus_used: int
    index: float = Field(description="performance index; 0 while unmeasured")
    containers: bool
    labels: dict[str, str]
    seen_at: float
    runs: list[str]
    gauges: GaugesOut

    @classmethod
    def of(cls, node: Node, used: Resources, runs: list[Run]) -> NodeOut:
        return cls(
            id=node.id,
            state=node.state,
            address=node.address,
            cpus=node.capacity.cpu_m / 1000,
            memory=node.capacity.memory,
            gpus=node.capacity.gpus,
            lanes=node.capacity.lanes,
            cpus_used=used.cpu_m / 1000,
            memory_used=used.memory,
            gpus_used=used.gpus,
            index=node.index,
            containers=node.containers,
            labels=dict(node.labels),
            seen_at=node.seen_at,
            runs=[str(run.id) for run in runs],
            gauges=gauges_out(node.gauges),
        )


def gauges_out(gauges: Any) -> GaugesOut:
    return GaugesOut(
        time=gauges.time,
        cpu=gauges.cpu,
        memory=gauges.memory,
        gpu=list(gauges.gpu),
        disk=gauges.disk,
        disk_read=gauges.disk_read,
        disk_write=gauges.disk_write,
        net_received=gauges.net_received,
        net_sent=gauges.net_sent,
    )


class ProfileOut(BaseModel):
    name: str
    ordering: str
    allotment: str
    placement: str
    preemption: str
    summary: str
    active: bool

    @classmethod
    def of(cls, profile: Profile, active: str) -> ProfileOut:
        return cls(
            name=profile.name,
            ordering=profile.ordering,
            allotment=profile.allotment,
            placement=profile.placement,
            preemption=profile.preemption,
            summary=profile.summary,
            active=profile.name == active,
        )


class QuotaOut(QuotaIn):
    user: str

    @classmethod
    def of(cls, quota: Quota) -> QuotaOut:
        return cls(user=quota.user, running_workers=quota.running_workers, queued_tasks=quota.queued_tasks)


class TokenOut(BaseModel):
    id: str
    user: str
    role: str
    created_at: float
    expires_at: float | None
    label: str
    token: str | None = Field(None, description="the secret; shown only in the answer that makes it")

    @classmethod
    def of(cls, row: TokenRow, secret: str | None = None) -> TokenOut:
        return cls(
            id=row.id,
            user=row.user,
            role=row.role,
            created_at=row.created_at,
            expires_at=row.expires_at,
            label=row.label,
            token=secret,
        )


class Waiting(BaseModel):
    task: str
    name: str
    why: str


class Overview(BaseModel):
    """The state of everything in one look."""

    version: str
    time: float
    up_s: float
    profile: str
    trouble: str | None = Field(description="what is wrong with the store, if anything")
    counts: dict[str, int]
    queue: dict[str, int] = Field(description="waiting tasks by queue: interrupted, highest, urgent, normal")
    nodes: list[NodeOut]
    waiting: list[Waiting]
    failures: dict[str, int] = Field(description="recent failures by cause")
