"""Triggers: make, look, change, fire, and the history of their firings."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from trainmaster.api.deps import Serving, Submitter, Viewer
from trainmaster.api.triggerforms import (
    BackfillIn,
    BackfillOut,
    FiringOut,
    TriggerChangeIn,
    TriggerIn,
    TriggerOut,
)
from trainmaster.domain.firing import FiringOutcome, Trigger
from trainmaster.ports import FiringRow
from trainmaster.service.service import Service

router = APIRouter(prefix="/v1", tags=["triggers"])

_SHOWN = 10
Coming = Annotated[int, Query(ge=0, le=1000, description="how many of the next due times to show")]
Moment = Annotated[float | None, Query(ge=0, le=1e10, description="seconds since the epoch")]
Limit = Annotated[int, Query(ge=1, le=10_000)]


async def trigger_in_path(trigger: str, service: Serving, person: Viewer) -> Trigger:
    """Accepts a name, an id, or an unambiguous beginning of an id."""
    return service.triggers.find(trigger)


async def own_trigger(trigger: Annotated[Trigger, Depends(trigger_in_path)], person: Submitter) -> Trigger:
    """The trigger in the path, which the person may change."""
    person.must_own(trigger.user)
    return trigger


TriggerInPath = Annotated[Trigger, Depends(trigger_in_path)]
OwnTrigger = Annotated[Trigger, Depends(own_trigger)]


def trigger_out(
    service: Service, trigger: Trigger, coming: int = _SHOWN, warnings: list[str] | None = None
) -> TriggerOut:
    book = service.state.triggers
    live = sorted(map(str, book.live.get(trigger.id, ())))
    waiting = len(book.waiting.get(trigger.id, ()))
    return TriggerOut.of(trigger, service.triggers.coming(trigger, coming), live, waiting, warnings)


@router.post("/triggers", status_code=201, summary="Make a trigger")
async def create(body: TriggerIn, service: Serving, person: Submitter, response: Response) -> TriggerOut:
    """Durable once answered. `warnings` say if what the triggers start will not be in time."""
    made, warnings = await service.triggers.create(body.trigger(person.name))
    response.headers["Location"] = f"/v1/triggers/{made.id}"
    return trigger_out(service, made, warnings=warnings)


@router.get("/triggers", summary="All triggers, by name")
async def triggers(service: Serving, person: Viewer, coming: Coming = 1) -> list[TriggerOut]:
    return [trigger_out(service, trigger, coming) for trigger in service.triggers.all()]


@router.get("/triggers/{trigger}", summary="One trigger, with its next due times")
async def trigger(
    trigger: TriggerInPath, service: Serving, person: Viewer, coming: Coming = _SHOWN
) -> TriggerOut:
    return trigger_out(service, trigger, coming)


@router.patch("/triggers/{trigger}", summary="Change a trigger")
async def change(
    trigger: OwnTrigger, body: TriggerChangeIn, service: Serving, person: Submitter
) -> TriggerOut:
    """The new definition counts from now; what is due within seconds may have been claimed by the old one."""
    try:
        wanted = body.over(trigger)
    except ValidationError as error:
        raise RequestValidationError([{**e, "loc": ("body", *e["loc"])} for e in error.errors()]) from None
    changed, warnings = await service.triggers.change(trigger, wanted.trigger(trigger.user), person.name)
    return trigger_out(service, changed, warnings=warnings)


@router.post("/triggers/{trigger}/pause", summary="Let nothing fire for now")
async def pause(trigger: OwnTrigger, service: Serving, person: Submitter) -> TriggerOut:
    """What comes due meanwhile is late when it goes on, and its misfire policy decides."""
    return trigger_out(service, await service.triggers.pause(trigger.id, True, person.name))


@router.post("/triggers/{trigger}/resume", summary="Let it fire again")
async def resume(trigger: OwnTrigger, service: Serving, person: Submitter) -> TriggerOut:
    return trigger_out(service, await service.triggers.pause(trigger.id, False, person.name))


@router.post("/triggers/{trigger}/run", summary="Fire now")
async def run(trigger: OwnTrigger, service: Serving, person: Submitter) -> FiringOut:
    """Also while it is paused. The overlap policy may hold or skip it: see `outcome`."""
    return FiringOut.of(FiringRow(await service.triggers.run(trigger, person.name)))


@router.post("/triggers/{trigger}/backfill", summary="Make up for due times of the past")
async def backfill(trigger: OwnTrigger, body: BackfillIn, service: Serving, person: Submitter) -> BackfillOut:
    """Without `start` only a preview. Each due time is made up for once, whatever asks for it again."""
    since_ms, until_ms = round(body.since * 1000), round(body.until * 1000)
    if body.start:
        plan = await service.triggers.backfill(trigger, since_ms, until_ms, person.name)
    else:
        plan = await service.triggers.plan_backfill(trigger, since_ms, until_ms)
    return BackfillOut(dues=[at / 1000 for at in plan.dues], fired=plan.fired, started=body.start)


@router.delete("/triggers/{trigger}", status_code=204, summary="Delete a trigger")
async def delete(trigger: OwnTrigger, service: Serving, person: Submitter) -> None:
    """What it started goes on, and the history of its firings stays."""
    await service.triggers.delete(trigger.id, person.name)


@router.get("/triggers/{trigger}/firings", summary="What became of its due times, the latest first")
async def firings(
    trigger: TriggerInPath,
    service: Serving,
    person: Viewer,
    since: Moment = None,
    before: Moment = None,
    outcome: Annotated[list[FiringOutcome] | None, Query()] = None,
    limit: Limit = 100,
) -> list[FiringOut]:
    rows = await service.store.firings(
        trigger.id,
        since_ms=None if since is None else round(since * 1000),
        before_ms=None if before is None else round(before * 1000),
        outcomes=tuple(outcome or ()),
        limit=limit,
    )
    return [FiringOut.of(row) for row in rows]


@router.get("/firings", summary="What became of due times of all triggers, the latest first")
async def all_firings(
    service: Serving,
    person: Viewer,
    since: Moment = None,
    before: Moment = None,
    outcome: Annotated[list[FiringOutcome] | None, Query()] = None,
    limit: Limit = 100,
) -> list[FiringOut]:
    """Also those of triggers that were deleted."""
    rows = await service.store.firings(
        since_ms=None if since is None else round(since * 1000),
        before_ms=None if before is None else round(before * 1000),
        outcomes=tuple(outcome or ()),
        limit=limit,
    )
    return [FiringOut.of(row) for row in rows]
