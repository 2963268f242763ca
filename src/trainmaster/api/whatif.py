"""What if another profile had been in use? A replay of the history, in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from trainmaster.api.deps import Serving, Submitter
from trainmaster.api.requests import Strict
from trainmaster.api.simulated import simulated
from trainmaster.domain.errors import TrainmasterError, UnknownProfile
from trainmaster.ports import Past
from trainmaster.service.service import Service
from trainmaster.simulator.errors import EmptyHistory
from trainmaster.simulator.whatif import Question

router = APIRouter(prefix="/v1", tags=["cluster"])

_MOST_TASKS = 20_000  # of a replay: the newest
_MOST_REPORTS = 2_000  # of one task
_MOST_TOLD = 500  # elastic tasks whose reports are read
_WITHIN_S = 120.0


class ReplayBusy(TrainmasterError):
    """One replay at a time: they are long, and the machine has other work."""

    code = "replay-busy"
    status = 409
    remedy = "wait until the other what-if has answered"


class WhatIfIn(Strict):
    profile: str = Field(description="the profile to try", examples=["dtes"], max_length=100)
    last_s: float = Field(
        7 * 86400.0, gt=0, le=366 * 86400.0, description="replay the last so many seconds", examples=[604800]
    )
    nodes: int | None = Field(
        None, ge=1, le=10_000, description="on so many nodes; null: as many as now", examples=[4]
    )


class Times(BaseModel):
    """Seconds."""

    mean: float = Field(examples=[81.5])
    p50: float = Field(examples=[12.0])
    p99: float = Field(examples=[640.2])
    max: float = Field(examples=[702.0])


class ColumnOut(BaseModel):
    """One way it went. Waits and times to the end are over the tasks that ended in every column."""

    name: str = Field(description="as it was, replayed, what if", examples=["what if"])
    profile: str = Field(examples=["dtes"])
    nodes: int = Field(examples=[4])
    ended: int = Field(examples=[812])
    unended: int = Field(description="tasks this way never brought to an end", examples=[0])
    wait_s: Times
    jct_s: Times = Field(description="from submission to the end")
    makespan_s: float = Field(description="from the first arrival to the last end", examples=[604000.0])
    worker_hours: float = Field(examples=[301.7])
    busy_node_hours: float = Field(description="of nodes with at least one worker", examples=[97.2])
    restarts: int = Field(examples=[3])
    resizes: int = Field(examples=[48])


class RowOut(BaseModel):
    """One task; the lists go by column, null where the task did not start or end."""

    task: str = Field(examples=["t-7m2k9q1x0b"])
    name: str = Field(examples=["train"])
    user: str = Field(examples=["ann"])
    wait_s: list[float | None]
    jct_s: list[float | None]


class WhatIfOut(BaseModel):
    since: float = Field(examples=[1767225600.0])
    until: float = Field(examples=[1767830400.0])
    tasks: int = Field(examples=[812])
    left_out: dict[str, int] = Field(
        description="tasks that could not be replayed, by reason", examples=[{"never started": 2}]
    )
    columns: list[ColumnOut]
    rows: list[RowOut] = Field(description="the 200 tasks that the replays treat most differently")


@dataclass(slots=True)
class Replays:
    """Runs one replay at a time."""

    _busy: bool = field(default=False)

    async def run(self, service: Service, wanted: WhatIfIn) -> dict[str, Any]:
        """Raises UnknownProfile, EmptyHistory, ReplayBusy, CannotReplay."""
        profiles = service.state.profiles
        if wanted.profile not in profiles:
            raise UnknownProfile(
                f"there is no profile {wanted.profile!r}",
                remedy=f"choose one of {', '.join(profiles)}",
                name=wanted.profile,
            )
        if self._busy:
            raise ReplayBusy("another what-if is being computed")
        self._busy = True
        try:
            question = await _question(service, wanted)
            return await simulated(question, _WITHIN_S)
        finally:
            self._busy = False


async def _question(service: Service, wanted: WhatIfIn) -> Question:
    until = service.clock.now()
    since = until - wanted.last_s
    pasts = await service.store.past(since, until, _MOST_TASKS)
    if not pasts:
        raise EmptyHistory(wanted.last_s)
    return Question(
        since, until, service.profile(), service.state.profiles[wanted.profile], pasts,
        await _reports(service, pasts), service.nodes(), service.quotas(), wanted.nodes,
        service.state.networks,
    )  # fmt: skip


async def _reports(service: Service, pasts: list[Past]) -> dict[Any, Any]:
    """What training said: of every task whether it said anything, of the latest elastic ones how fast it
    was."""
    elastic = [past.task.id for past in pasts if past.task.spec.elastic][-_MOST_TOLD:]
    return {task: await service.store.metrics(task, limit=_MOST_REPORTS) for task in elastic}


def _replays(request: Request) -> Replays:
    found: Replays = request.app.state.replays
    return found


@router.post("/whatif", summary="Replay the history under another profile")
async def whatif(
    body: WhatIfIn, service: Serving, person: Submitter, replays: Annotated[Replays, Depends(_replays)]
) -> WhatIfOut:
    """Takes seconds; one at a time. At most 20,000 tasks, the newest. Waits and ends of the replays are those
    of a simulation of the very scheduler, beside what happened."""
    return WhatIfOut(**await replays.run(service, body))
