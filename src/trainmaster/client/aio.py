"""The same client for asyncio."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from trainmaster.client import calls, types
from trainmaster.client.aio_workflows import AsyncWorkflowMethods
from trainmaster.client.build import build, build_all
from trainmaster.client.calls import EVERYTHING, Call, LogFilter
from trainmaster.client.errors import TaskFailed, WaitTimeout
from trainmaster.client.fields import AlarmRuleFields, SizingFields, TaskFields
from trainmaster.client.locate import locate
from trainmaster.client.patience import (
    STREAM_SILENCE_S,
    Patience,
    failure,
    found_again,
    http_options,
    unreachable,
)
from trainmaster.client.sse import Parser, ServerEvent
from trainmaster.client.triggers import AsyncTriggers

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")


class AsyncClient(AsyncWorkflowMethods):
    """`Client` with coroutines and async iterators; see there for what everything does."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        data: str | os.PathLike[str] | None = None,
        timeout: float = 30.0,
        retry_s: float = 30.0,
    ) -> None:
        self.endpoint = locate(url, token, data)
        self._timeout = timeout
        self._retry_s = retry_s
        self._connection: httpx2.AsyncClient | None = None
        self._reached = False
        self.triggers = AsyncTriggers(self._send)

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.aclose()
            self._connection = None

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- tasks -------------------------------------------------------------------------------------------

    async def submit(self, *, idempotency_key: str | None = None, **fields: Unpack[TaskFields]) -> types.Task:
        """Submit a task; durable once this returns. Submitting again with the same key changes nothing."""
        return await self._send(calls.submit(fields, idempotency_key))

    async def submit_many(self, tasks: Iterable[TaskFields | Mapping[str, Any]]) -> list[types.Submitted]:
        """Submit up to 10,000 tasks in one transaction; each is accepted or refused on its own."""
        return await self._send(calls.submit_many(tasks))

    async def task(self, task: str) -> types.Task:
        """One task, by its id or an unambiguous beginning of it."""
        return await self._send(calls.task(task))

    async def tasks(
        self,
        *,
        states: Iterable[str] = (),
        user: str | None = None,
        text: str | None = None,
        limit: int | None = None,
        page_size: int = 200,
    ) -> AsyncIterator[types.Task]:
        """All tasks, newest first, page by page as they are taken."""
        before, left = None, limit
        states = list(states)
        while left is None or left > 0:
            size = page_size if left is None else min(page_size, left)
            page = await self.task_page(states=states, user=user, text=text, limit=size, before=before)
            for task in page.tasks:
                yield task
            before = page.next
            if before is None:
                return
            left = None if left is None else left - len(page.tasks)

    async def task_page(
        self,
        *,
        states: Iterable[str] = (),
        user: str | None = None,
        text: str | None = None,
        limit: int = 100,
        before: int | None = None,
    ) -> types.TaskPage:
        return await self._send(calls.task_page(states, user, text, limit, before))

    async def cancel(self, task: str) -> types.Task:
        """Ask for the end of a task; it is CANCELLED once its workers are verifiably gone."""
        return await self._send(calls.cancel(task))

    async def priority(
        self, task: str, *, bumps: int = 0, priority: float | None = None, urgency: str | None = None
    ) -> types.Task:
        """`bumps` raises or lowers by requests (0.1 each); the others set outright."""
        return await self._send(calls.priority(task, bumps, priority, urgency))

    async def resize(self, task: str, workers: int | None) -> types.Task:
        """Pin the number of workers, within the task's bounds; None gives it back to the policy."""
        return await self._send(calls.resize(task, workers))

    async def explain(self, task: str) -> types.Explanation:
        return await self._send(calls.explain(task))

    async def expected(self, task: str) -> types.Expected:
        """When it will start and end, by a simulation of the present: takes up to some seconds."""
        return await self._send(calls.expected(task))

    async def runs(self, task: str) -> list[types.Run]:
        return await self._send(calls.runs(task))

    async def metrics(self, task: str, *, after: float = 0.0, limit: int = 10_000) -> list[types.Metric]:
        return await self._send(calls.metrics(task, after, limit))

    async def wait(self, task: str, timeout: float | None = None) -> types.Task:
        """The task once it has ended. Raises WaitTimeout."""
        import asyncio  # here and below, so that importing this module costs nothing

        until = None if timeout is None else time.monotonic() + timeout
        pause = 0.02
        while True:
            found = await self.task(task)
            if found.ended:
                return found
            if until is not None and time.monotonic() + pause > until:
                raise WaitTimeout(f"{found.id} is still {found.state} after {timeout:g} s", task=found.id)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 1.0)

    async def run_function(
        self, function: str, arguments: Any = None, *, timeout: float | None = None, **fields: Any
    ) -> Any:
        """Run "module:function" in a warm lane and return its result. Raises TaskFailed, WaitTimeout."""
        task = await self.submit(function=function, arguments=arguments, **fields)
        ended = await self.wait(task.id, timeout)
        if not ended.ok:
            raise TaskFailed(f"{function}: {ended.reason}", task=ended.id, state=ended.state)
        return ended.result

    # --- logs and history --------------------------------------------------------------------------------

    async def log_page(
        self,
        task: str,
        wanted: LogFilter = EVERYTHING,
        *,
        limit: int = 500,
        before: int | None = None,
        after: int | None = None,
    ) -> types.LogPage:
        """The tail of the log, or the lines before or after a cursor."""
        return await self._send(calls.log_page(task, wanted, limit, before, after))

    async def logs(self, task: str, wanted: LogFilter = EVERYTHING) -> AsyncIterator[types.LogLine]:
        """Every line there is now, from the beginning."""
        after: int | None = 0
        while after is not None:
            page = await self.log_page(task, wanted, limit=2000, after=after)
            for line in page.lines:
                yield line
            after = page.newer

    async def follow(
        self, task: str, wanted: LogFilter = EVERYTHING, *, tail: int = 200, after: int | None = None
    ) -> AsyncIterator[types.LogLine]:
        """The last `tail` lines (or those after a cursor) and then every new one until the task has ended."""
        async for event in self._stream(calls.log_stream(task, wanted, tail, after)):
            if event.kind == "end":
                return
            for line in build_all(types.LogLine, event.data):
                yield line

    async def events(
        self, task: str | None = None, *, after: int | None = None, limit: int = 500
    ) -> list[types.Event]:
        """History, oldest first after a number; without one, the latest `limit` (of a task: the first)."""
        return (await self._send(calls.event_page(task, after, limit))).events

    async def watch(self, after: int | None = None) -> AsyncIterator[types.Event]:
        """What happens from now on (or after a number), without end."""
        async for event in self._stream(calls.event_stream(after)):
            yield build(types.Event, event.data)

    # --- the cluster -------------------------------------------------------------------------------------

    async def nodes(self) -> list[types.Node]:
        return await self._send(calls.nodes())

    async def node(self, node: str) -> types.Node:
        return await self._send(calls.node(node))

    async def gauges(self, node: str) -> list[types.Gauges]:
        """Its measurements of the last half hour."""
        return await self._send(calls.gauges(node))

    async def drain(self, node: str, drain: bool = True) -> types.Node:
        """Give a node nothing new, or let it work again."""
        return await self._send(calls.drain(node, drain))

    async def profiles(self) -> list[types.Profile]:
        return await self._send(calls.profiles())

    async def use_profile(self, name: str) -> types.Profile:
        return await self._send(calls.use_profile(name))

    async def quotas(self) -> list[types.Quota]:
        return await self._send(calls.quotas())

    async def set_quota(
        self, user: str, *, running_workers: int | None = None, queued_tasks: int | None = None
    ) -> types.Quota:
        """None means no limit."""
        return await self._send(calls.set_quota(user, running_workers, queued_tasks))

    async def forecast(self, *, rows: int = 336) -> types.Forecast:
        """How much work comes, and how many nodes it calls for; with the last `rows` closed intervals."""
        return await self._send(calls.forecast(rows))

    async def set_forecast(self, **knobs: Unpack[SizingFields]) -> types.Forecast:
        """Set how the cluster is sized; what is left out stays. `max_nodes=None` lifts that bound."""
        return await self._send(calls.set_forecast(knobs))

    async def whatif(
        self, profile: str, *, last_s: float = 7 * 86400.0, nodes: int | None = None
    ) -> types.WhatIf:
        """Replay the last `last_s` seconds under another profile, on `nodes` nodes (None: as many as now).

        Takes seconds; give the client a timeout to match. Raises Refused: unknown-profile, empty-history,
        replay-busy, cannot-replay.
        """
        return await self._send(calls.whatif(profile, last_s, nodes))

    async def tokens(self) -> list[types.Token]:
        return await self._send(calls.tokens())

    async def new_token(
        self, user: str, role: str = "submitter", *, days: float | None = None, label: str = ""
    ) -> types.Token:
        """Give access. The secret is in `token` of the answer, and nowhere else."""
        return await self._send(calls.new_token(user, role, days, label))

    async def revoke_token(self, token: str) -> None:
        await self._send(calls.revoke_token(token))

    async def services(self) -> types.Services:
        """The processes of the service, their roles and beats, who leads, and the agents."""
        return await self._send(calls.services())

    async def overview(self) -> types.Overview:
        return await self._send(calls.overview())

    async def health(self) -> dict[str, str]:
        """Needs no token. Raises Refused (503) if the service is not well."""
        return await self._send(calls.health())

    # --- alarms ------------------------------------------------------------------------------------------

    async def alarms(
        self, *, all: bool = False, limit: int = 100, before: str | None = None
    ) -> types.AlarmPage:
        """Alarms, the latest opened first; with `all` those that are over, too."""
        return await self._send(calls.alarms(all, limit, before))

    async def acknowledge(self, alarm: str) -> types.Alarm:
        """Take care of an alarm: it is told again only when it is over."""
        return await self._send(calls.acknowledge(alarm))

    async def alarm_rules(self) -> list[types.AlarmRule]:
        return await self._send(calls.alarm_rules())

    async def set_alarm_rule(self, name: str, **fields: Unpack[AlarmRuleFields]) -> types.AlarmRule:
        """Make a rule, or replace the one of this name. What is left out is as usual."""
        return await self._send(calls.set_alarm_rule(name, fields))

    async def drop_alarm_rule(self, name: str) -> None:
        """Its open alarms are over."""
        await self._send(calls.drop_alarm_rule(name))

    async def try_alarm_rule(self, name: str) -> list[types.Send]:
        """Send a test over each of the rule's channels, and say what became of it."""
        return await self._send(calls.try_alarm_rule(name))

    async def channels(self) -> list[types.Channel]:
        return await self._send(calls.channels())

    async def set_channel(
        self, name: str, kind: str, settings: Mapping[str, str], *, enabled: bool = True
    ) -> types.Channel:
        """Make a channel, or replace the one of this name. Secrets that are left out stay as they are."""
        return await self._send(calls.set_channel(name, kind, settings, enabled))

    async def drop_channel(self, name: str) -> None:
        await self._send(calls.drop_channel(name))

    async def try_channel(self, name: str) -> types.Send:
        """Send a test, now and once, and say what became of it."""
        return await self._send(calls.try_channel(name))

    async def sends(self, channel: str, *, limit: int = 50) -> list[types.Send]:
        """What was sent over a channel, the latest first."""
        return await self._send(calls.sends(channel, limit))

    # --- inside ------------------------------------------------------------------------------------------

    def _http(self) -> httpx2.AsyncClient:
        if self._connection is None:
            import httpx2

            self._connection = httpx2.AsyncClient(**http_options(self.endpoint, self._timeout))
        return self._connection

    async def _send(self, call: Call[T]) -> T:
        http = self._http()
        import asyncio

        import httpx2

        patience = Patience(self._retry_s)
        while True:
            error: Exception
            try:
                response = await http.request(
                    call.method, call.path, params=call.params, json=call.json, headers=call.headers
                )
            except httpx2.TransportError as lost:
                error = unreachable(self.endpoint, lost)
                # A connection that was refused carried nothing: repeating is safe whatever the request.
                again = self._reached and (call.repeatable or isinstance(lost, httpx2.ConnectError))
            else:
                self._reached = True
                if response.is_success:
                    return call.parse(response.json() if response.content else None)
                error = failure(response)
                again = response.status_code == 503 and call.repeatable
            pause = patience.pause() if again else None
            if pause is None:
                raise error
            await asyncio.sleep(pause)
            http = await self._renewed()

    async def _stream(self, call: Call[Any]) -> AsyncIterator[ServerEvent]:
        http = self._http()
        import asyncio

        import httpx2

        patience, last_id = Patience(self._retry_s), None
        while True:
            headers: dict[str, str] = {} if last_id is None else {"Last-Event-ID": str(last_id)}
            error: Exception | None = None
            again = True
            heard = False
            try:
                timeout = httpx2.Timeout(self._timeout, read=STREAM_SILENCE_S)
                async with http.stream(
                    "GET", call.path, params=call.params, headers=headers, timeout=timeout
                ) as response:
                    self._reached = True
                    if response.is_success:
                        parser = Parser()
                        async for line in response.aiter_lines():
                            heard = True
                            event = parser.feed(line)
                            if event is not None:
                                last_id = event.id if event.id is not None else last_id
                                yield event
                    else:
                        await response.aread()
                        error, again = failure(response), response.status_code == 503
            except httpx2.TransportError as lost:
                error, again = unreachable(self.endpoint, lost), self._reached
            if heard:
                patience.renew()  # it was there until now
            pause = patience.pause() if again else None
            if pause is None:
                raise error or unreachable(self.endpoint, ConnectionError("the stream ended"))
            await asyncio.sleep(pause)
            http = await self._renewed()

    async def _renewed(self) -> httpx2.AsyncClient:
        """The connection, to wherever the service is now."""
        endpoint = found_again(self.endpoint)
        if endpoint != self.endpoint:
            await self.close()
            self.endpoint = endpoint
        return self._http()
