"""Tasks: submit, look, change."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from trainmaster.api.answers import (
    EventOut,
    EventPage,
    ExplanationOut,
    ManyItem,
    ManyOut,
    MetricOut,
    RunOut,
    TaskOut,
    TaskPage,
)
from trainmaster.api.deps import OwnTask, Serving, Submitter, TaskInPath, Viewer
from trainmaster.api.requests import ManyIn, PriorityIn, ResizeIn, TaskIn
from trainmaster.domain.errors import InvalidTask, TrainmasterError
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.task import Task, Urgency
from trainmaster.ports import TaskFilter
from trainmaster.service.service import Service

router = APIRouter(prefix="/v1/tasks", tags=["tasks"])

MAX_CURSOR = 2**62
Cursor = Annotated[int | None, Query(ge=0, le=MAX_CURSOR)]


def task_out(service: Service, task: Task) -> TaskOut:
    nodes = sorted({run.node for run in service.state.runs.get(task.id, {}).values()})
    return TaskOut.of(task, service.clock.now(), service.progress(task.id), list(nodes))


@router.post("", status_code=201, summary="Submit a task")
async def submit(
    body: TaskIn,
    service: Serving,
    person: Submitter,
    response: Response,
    idempotency_key: Annotated[str | None, Header(max_length=200, min_length=1)] = None,
) -> TaskOut:
    """Durable once answered. With an `Idempotency-Key`, repeating the request answers with the same task."""
    digest = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
    task = await service.submit(body.spec(person.name), idempotency_key, digest)
    response.headers["Location"] = f"/v1/tasks/{task.id}"
    return task_out(service, task)


@router.post("/batch", summary="Submit many tasks in one transaction")
async def submit_many(body: ManyIn, service: Serving, person: Submitter) -> ManyOut:
    items: list[ManyItem] = []
    specs, at = [], []
    for task in body.tasks:
        try:
            specs.append(task.spec(person.name))
            at.append(len(items))
            items.append(ManyItem())
        except InvalidTask as error:
            items.append(_refused(error))
    for position, answer in zip(at, await service.submit_many(specs), strict=True):
        items[position] = _refused(answer) if isinstance(answer, TrainmasterError) else ManyItem(id=answer)
    return ManyOut(tasks=items)


def _refused(error: TrainmasterError) -> ManyItem:
    return ManyItem(code=error.code, detail=error.message, remedy=error.remedy)


@router.get("", summary="List tasks, newest first")
async def tasks(
    service: Serving,
    person: Viewer,
    state: Annotated[list[TaskState] | None, Query()] = None,
    user: Annotated[str | None, Query(max_length=64)] = None,
    text: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Cursor = None,
) -> TaskPage:
    found, more = await service.store.tasks(
        TaskFilter(states=tuple(state or ()), user=user, text=text), limit, before
    )
    # The store lags behind the present by one transaction at most; what is live is shown as it is.
    shown = [task_out(service, service.state.tasks.get(task.id, task)) for task in found]
    return TaskPage(tasks=shown, next=more, counts=await service.store.counts())


@router.get("/{task}", summary="One task")
async def task(task: TaskInPath, service: Serving, person: Viewer) -> TaskOut:
    return task_out(service, await service.task(task))


@router.post("/{task}/cancel", summary="End a task")
async def cancel(task: OwnTask, service: Serving, person: Submitter) -> TaskOut:
    """TERM to every worker, KILL after the grace period. CANCELLED once they are verifiably gone."""
    return task_out(service, await service.cancel(task.id, person.name))


@router.post("/{task}/priority", summary="Change a task's priority")
async def priority(task: OwnTask, body: PriorityIn, service: Serving, person: Submitter) -> TaskOut:
    urgency = Urgency[body.urgency.upper()] if body.urgency else None
    changed = await service.prioritise(task.id, person.name, body.bumps, body.priority, urgency)
    return task_out(service, changed)


@router.post("/{task}/resize", summary="Change how many workers a task has")
async def resize(task: OwnTask, body: ResizeIn, service: Serving, person: Submitter) -> TaskOut:
    """Carried out while it runs: at a step boundary by its group, or by a restart (see `elasticity`)."""
    return task_out(service, await service.resize(task.id, person.name, body.workers))


@router.get("/{task}/explain", summary="Why is it where it is?")
async def explain(task: TaskInPath, service: Serving, person: Viewer) -> ExplanationOut:
    return ExplanationOut.of(await service.explain(task))


@router.get("/{task}/runs", summary="The workers of all its attempts")
async def runs(task: TaskInPath, service: Serving, person: Viewer) -> list[RunOut]:
    return [RunOut.of(run, service.run_gauge(run)) for run in await service.runs(task)]


@router.get("/{task}/events", summary="Its history")
async def events(
    task: TaskInPath,
    service: Serving,
    person: Viewer,
    after: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> EventPage:
    rows = await service.store.records(after or 0, limit, task=task)
    return EventPage(
        events=[EventOut.of(seq, record) for seq, record in rows], next=rows[-1][0] if rows else after or 0
    )


@router.get("/{task}/metrics", summary="What its training code reported")
async def metrics(
    task: TaskInPath,
    service: Serving,
    person: Viewer,
    after: Annotated[float, Query(ge=0, le=1e12)] = 0.0,
    limit: Annotated[int, Query(ge=1, le=100_000)] = 10_000,
) -> list[MetricOut]:
    return [
        MetricOut(attempt=m.run.attempt, rank=m.run.rank, time=m.time, step=m.step, values=dict(m.values))
        for m in await service.store.metrics(task, after, limit)
    ]
