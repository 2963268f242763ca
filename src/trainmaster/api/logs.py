"""Logs: pages, live stream, download."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from trainmaster.api.answers import LogLineOut, LogPageOut
from trainmaster.api.deps import Serving, TaskInPath, Viewer
from trainmaster.api.sse import KEEP_ALIVE_S, as_event, sse
from trainmaster.api.tasks import Cursor
from trainmaster.domain.errors import InvalidTask
from trainmaster.domain.ids import TaskId
from trainmaster.domain.run import Stream
from trainmaster.ports import LogQuery
from trainmaster.service.service import Service

router = APIRouter(prefix="/v1/tasks/{task}/logs", tags=["logs"])

Streams = Annotated[list[Stream] | None, Query()]
Number = Annotated[int | None, Query(ge=0, le=2**31)]
Moment = Annotated[float | None, Query(ge=0, le=1e12)]
Text = Annotated[str | None, Query(max_length=1000)]


def query_of(
    stream: list[Stream] | None,
    attempt: int | None,
    rank: int | None,
    since: float | None = None,
    until: float | None = None,
    text: str | None = None,
    regex: bool = False,
) -> LogQuery:
    """Raises InvalidTask for a regular expression that does not compile."""
    if regex and text:
        try:
            re.compile(text)
        except re.error as error:
            raise InvalidTask(
                f"text: not a regular expression: {error}", remedy="escape it, or search for plain text",
                field="text",
            ) from None  # fmt: skip
    return LogQuery(tuple(stream or ()), attempt, rank, since, until, text or None, regex)


@router.get("", summary="A page of the log")
async def page(
    task: TaskInPath,
    service: Serving,
    person: Viewer,
    stream: Streams = None,
    attempt: Number = None,
    rank: Number = None,
    since: Moment = None,
    until: Moment = None,
    text: Text = None,
    regex: bool = False,
    limit: Annotated[int, Query(ge=1, le=5000)] = 500,
    before: Cursor = None,
    after: Cursor = None,
) -> LogPageOut:
    """The tail, or lines `before` or `after` a cursor. All filters must hold."""
    query = query_of(stream, attempt, rank, since, until, text, regex)
    found = await service.store.log_page(task, query, limit, before=before, after=after)
    return LogPageOut(
        lines=[LogLineOut.of(line) for line in found.lines],
        older=found.older,
        newer=found.newer,
        complete=found.complete,
    )


@router.get("/stream", summary="Follow the log", response_class=StreamingResponse)
async def follow(
    task: TaskInPath,
    service: Serving,
    person: Viewer,
    stream: Streams = None,
    attempt: Number = None,
    rank: Number = None,
    text: Text = None,
    regex: bool = False,
    tail: Annotated[int, Query(ge=0, le=5000)] = 200,
    after: Cursor = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Server-sent events: `lines` with an array of lines, whose id resumes the stream; `end` when the task
    has ended and everything was sent."""
    if last_event_id and last_event_id.isdigit():
        after = int(last_event_id)
    query = query_of(stream, attempt, rank, text=text, regex=regex)
    await service.task(task)
    return sse(_follow(service, task, query, tail, after))


async def _follow(
    service: Service, task: TaskId, query: LogQuery, tail: int, after: int | None
) -> AsyncIterator[str]:
    hints = aiter(service.bus.subscribe("logs"))
    hint = asyncio.ensure_future(anext(hints))
    try:
        found = await service.store.log_page(task, query, max(tail, 1), after=after)
        while True:
            if found.lines:
                after = found.lines[-1].cursor
                yield as_event("lines", [LogLineOut.of(line).model_dump() for line in found.lines], after)
            if found.newer is not None:
                after = found.newer
            elif found.complete:
                yield as_event("end", {})
                return
            else:
                await asyncio.wait({hint}, timeout=KEEP_ALIVE_S)
                if hint.done():
                    hint.result()
                    hint = asyncio.ensure_future(anext(hints))
                else:
                    yield ": still here\n\n"
            found = await service.store.log_page(task, query, 1000, after=after or 0)
    except StopAsyncIteration:
        return  # the service stops
    finally:
        hint.cancel()


@router.get("/download", summary="One stream exactly as written", response_class=StreamingResponse)
async def download(
    task: TaskInPath,
    service: Serving,
    person: Viewer,
    stream: Stream = Stream.STDOUT,
    attempt: Annotated[int, Query(ge=1, le=2**31)] = 1,
    rank: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> StreamingResponse:
    await service.task(task)
    name = f"{task}.{attempt}.{rank}.{stream.lower()}.log"
    return StreamingResponse(
        service.store.log_bytes(task, stream, attempt, rank),
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
