"""When will a task start, and end? The present, simulated onward in a process of its own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from trainmaster.api.deps import Serving, TaskInPath, Viewer
from trainmaster.api.simulated import simulated
from trainmaster.domain.errors import TrainmasterError
from trainmaster.domain.ids import TaskId
from trainmaster.domain.task import Task
from trainmaster.domain.units import format_roughly
from trainmaster.service.service import Service
from trainmaster.simulator.foresight import MOST_TASKS, Expected, Foresight, Present

router = APIRouter(prefix="/v1/tasks", tags=["tasks"])

_FRESH_S = 5.0  # an answer serves everybody who asks within this time
_WITHIN_S = 20.0
_LEARN_S, _LEARN_TASKS = 30 * 86400.0, 2_000  # lengths are learnt from the latest of this time


class TooManyTasks(TrainmasterError):
    """More tasks are live than can be simulated while somebody waits for it."""

    code = "too-many-tasks"
    status = 422
    remedy = "ask when fewer are waiting; `explain` tells its place in the queue"


class ExpectedOut(BaseModel):
    """What a simulation of the present expects. Moments are seconds since the epoch."""

    task: str = Field(examples=["t-7m2k9q1x0b"])
    told: str = Field(description="in one sentence", examples=["starts in about 6 min"])
    now: float = Field(description="when it was simulated", examples=[1767225600.0])
    starts_at: float | None = Field(
        description="the next start, or that of the present attempt; null: none foreseen",
        examples=[1767225960.0],
    )
    ends_at: float | None = Field(description="null: no end foreseen", examples=[1767229560.0])
    guesses: int = Field(
        description="tasks that start before it whose length neither an estimate nor earlier tasks of their "
        "name tell",
        examples=[0],
    )


@dataclass(slots=True)
class Foresights:
    """One simulation at a time, for everybody."""

    _latest: Foresight | None = None
    _running: asyncio.Task[Foresight] | None = None

    async def of(self, service: Service, task: TaskId) -> ExpectedOut:
        """Raises TooManyTasks, CannotReplay."""
        while True:
            known = service.state.tasks.get(task)
            if known is None:
                return _past(await service.task(task), service.clock.now())
            latest = self._latest
            if latest is not None and service.clock.now() - latest.now < _FRESH_S and task in latest.tasks:
                return _out(task, latest, known.started_at is not None)
            if self._running is None or self._running.done():
                self._running = asyncio.create_task(self._look(service))
            await asyncio.shield(self._running)

    async def _look(self, service: Service) -> Foresight:
        state, now = service.state, service.clock.now()
        if len(state.tasks) > MOST_TASKS:
            raise TooManyTasks(f"{len(state.tasks)} tasks are live", most=MOST_TASKS)
        present = Present(
            now=now,
            profile=service.profile(),
            nodes=service.nodes(),
            tasks=list(state.tasks.values()),
            runs=[run for siblings in state.runs.values() for run in siblings.values()],
            quotas=service.quotas(),
            learned=dict(state.learned),
            pasts=(),
            drained=dict(state.drained),
            networks=state.networks,
        )
        pasts = await service.store.past(now - _LEARN_S, now, _LEARN_TASKS)
        told = await simulated(replace(present, pasts=pasts), _WITHIN_S)
        self._latest = Foresight.from_dict(told)
        return self._latest


def _out(task: TaskId, foresight: Foresight, running: bool) -> ExpectedOut:
    expected = foresight.tasks[task]
    return ExpectedOut(
        task=task,
        told=_sentence(expected, running),
        now=foresight.now,
        starts_at=_moment(foresight.now, expected.starts_in_s),
        ends_at=_moment(foresight.now, expected.ends_in_s),
        guesses=expected.guesses,
    )


def _past(task: Task, now: float) -> ExpectedOut:
    """Of a task that has just ended nothing is to be expected; whoever asked could not know."""
    return ExpectedOut(
        task=task.id,
        told=f"has ended: {task.state}",
        now=now,
        starts_at=task.started_at,
        ends_at=task.ended_at,
        guesses=0,
    )


def _sentence(expected: Expected, running: bool) -> str:
    if expected.starts_in_s is None:
        return "no start is foreseen as things are"
    told = [] if running else [f"starts in {format_roughly(expected.starts_in_s)}"]
    if expected.ends_in_s is not None:
        told.append(f"ends in {format_roughly(expected.ends_in_s)}")
    elif running:
        told.append("no end is foreseen")
    if expected.guesses and not running:
        tasks = "1 task" if expected.guesses == 1 else f"{expected.guesses} tasks"
        told.append(f"if {tasks} of unknown length before it last as long as most")
    return ", ".join(told)


def _moment(now: float, in_s: float | None) -> float | None:
    return None if in_s is None else now + in_s


def _foresights(request: Request) -> Foresights:
    found: Foresights = request.app.state.foresights
    return found


Ahead = Annotated[Foresights, Depends(_foresights)]


@router.get("/{task}/expected", summary="When will it start, and end?")
async def expected(
    task: TaskInPath,
    service: Serving,
    person: Viewer,
    foresights: Annotated[Foresights, Depends(_foresights)],
) -> ExpectedOut:
    """The present, simulated onward by the very scheduler, as if nothing else were submitted. Lengths come
    from estimates, else from earlier tasks of the same name and user. Takes up to some seconds; an answer is
    at most 5 s old."""
    return await foresights.of(service, task)
