"""Nodes, profiles, quotas, tokens, the overview and the event stream."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Path, Query
from fastapi.responses import StreamingResponse

from trainmaster import __version__
from trainmaster.api.answers import (
    EventOut,
    EventPage,
    GaugesOut,
    NodeOut,
    Overview,
    ProfileOut,
    QuotaOut,
    TokenOut,
    Waiting,
    gauges_out,
)
from trainmaster.api.deps import Admin, Operator, Serving, Viewer
from trainmaster.api.requests import DrainIn, ProfileIn, QuotaIn, TokenIn
from trainmaster.api.sse import KEEP_ALIVE_S, as_event, sse
from trainmaster.api.tasks import Cursor
from trainmaster.domain.cluster import Node, Quota
from trainmaster.domain.history import RecordKind
from trainmaster.domain.ids import UserName
from trainmaster.domain.lifecycle import TaskState
from trainmaster.service.access import Role
from trainmaster.service.service import Service

router = APIRouter(prefix="/v1", tags=["cluster"])

Name = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._@-]+$")]
_SHOWN = 20


def node_out(service: Service, node: Node) -> NodeOut:
    return NodeOut.of(node, service.used(node.id), service.runs_on(node.id))


@router.get("/nodes", summary="All nodes")
async def nodes(service: Serving, person: Viewer) -> list[NodeOut]:
    return [node_out(service, node) for node in service.nodes()]


@router.get("/nodes/{node}", summary="One node")
async def node(node: Name, service: Serving, person: Viewer) -> NodeOut:
    return node_out(service, service.node(node))


@router.get("/nodes/{node}/gauges", summary="Its measurements of the last half hour")
async def gauges(node: Name, service: Serving, person: Viewer) -> list[GaugesOut]:
    return [gauges_out(sample) for sample in service.gauges.history(service.node(node).id)]


@router.post("/nodes/{node}/drain", summary="Give a node nothing new, or let it work again")
async def drain(node: Name, body: DrainIn, service: Serving, person: Operator) -> NodeOut:
    return node_out(service, await service.drain(node, body.drain, person.name))


@router.get("/profiles", summary="The sets of policies there are")
async def profiles(service: Serving, person: Viewer) -> list[ProfileOut]:
    active = service.profile().name
    return [ProfileOut.of(profile, active) for profile in service.state.profiles.values()]


@router.put("/profile", summary="Switch the policies while everything runs")
async def switch(body: ProfileIn, service: Serving, person: Operator) -> ProfileOut:
    profile = await service.switch_profile(body.name, person.name)
    return ProfileOut.of(profile, profile.name)


@router.get("/quotas", summary="Limits by user")
async def quotas(service: Serving, person: Viewer) -> list[QuotaOut]:
    return [QuotaOut.of(quota) for quota in service.quotas()]


@router.put("/quotas/{user}", summary="Limit a user")
async def set_quota(user: Name, body: QuotaIn, service: Serving, person: Operator) -> QuotaOut:
    quota = Quota(UserName(user), body.running_workers, body.queued_tasks)
    return QuotaOut.of(await service.set_quota(quota, person.name))


@router.get("/tokens", summary="Who has access")
async def tokens(service: Serving, person: Admin) -> list[TokenOut]:
    return [TokenOut.of(row) for row in service.access.rows()]


@router.post("/tokens", status_code=201, summary="Give access")
async def issue(body: TokenIn, service: Serving, person: Admin) -> TokenOut:
    token_id, secret = await service.access.issue(
        body.user, Role[body.role.upper()], days=body.days, label=body.label
    )
    row = next(row for row in service.access.rows() if row.id == token_id)
    return TokenOut.of(row, secret)


@router.delete("/tokens/{token}", status_code=204, summary="Take access back")
async def revoke(token: Name, service: Serving, person: Admin) -> None:
    await service.access.revoke(token)


@router.get("/events", summary="What happened, oldest first after a number")
async def events(
    service: Serving,
    person: Viewer,
    after: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 500,
) -> EventPage:
    """Without `after`: the latest ones."""
    rows = await service.store.records(after or 0, limit, newest_first=after is None)
    if after is None:
        rows.reverse()
    return EventPage(
        events=[EventOut.of(seq, record) for seq, record in rows], next=rows[-1][0] if rows else after or 0
    )


@router.get("/events/stream", summary="What happens, live", response_class=StreamingResponse)
async def stream(
    service: Serving,
    person: Viewer,
    after: Cursor = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Server-sent events named `event`; the id resumes the stream."""
    if last_event_id and last_event_id.isdigit():
        after = int(last_event_id)
    return sse(_stream(service, after))


async def _stream(service: Service, after: int | None) -> AsyncIterator[str]:
    hints = aiter(service.bus.subscribe("events"))
    hint = asyncio.ensure_future(anext(hints))
    try:
        if after is None:
            newest = await service.store.records(0, 1, newest_first=True)
            after = newest[0][0] if newest else 0
        yield ": connected\n\n"
        while True:
            rows = await service.store.records(after, 500)
            for seq, record in rows:
                after = seq
                yield as_event("event", EventOut.of(seq, record).model_dump(), seq)
            if not rows:
                await asyncio.wait({hint}, timeout=KEEP_ALIVE_S)
                if hint.done():
                    hint.result()
                    hint = asyncio.ensure_future(anext(hints))
                else:
                    yield ": still here\n\n"
    except StopAsyncIteration:
        return  # the service stops
    finally:
        hint.cancel()


@router.get("/overview", summary="Everything in one look")
async def overview(service: Serving, person: Viewer) -> Overview:
    state, now = service.state, service.clock.now()
    queue: Counter[str] = Counter()
    for task_id in state.ready:
        task = state.tasks[task_id]
        interrupted = task.state is TaskState.INTERRUPTED
        queue["interrupted" if interrupted else task.urgency.name.lower()] += 1
    waiting = []
    for task_id in state.ready.first(_SHOWN):
        told = await service.explain(task_id)
        waiting.append(Waiting(task=task_id, name=state.tasks[task_id].spec.name, why=told.headline))
    recent = await service.store.records(0, 500, newest_first=True)
    failures = Counter(record.reason for _, record in recent if record.kind is RecordKind.TASK_FAILED)
    trouble = service.loop.trouble
    return Overview(
        version=__version__,
        time=now,
        up_s=now - service.started_at,
        profile=service.profile().name,
        trouble=trouble.message if trouble else None,
        counts=await service.store.counts(),
        queue=dict(queue),
        nodes=[node_out(service, node) for node in service.nodes()],
        waiting=waiting,
        failures=dict(failures.most_common(10)),
    )
