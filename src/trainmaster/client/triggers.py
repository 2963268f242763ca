"""Triggers in the SDK: `client.triggers`, for the plain and the async client."""

from __future__ import annotations

import builtins
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Unpack

from trainmaster.client import calls, types
from trainmaster.client.fields import TriggerFields


class Triggers:
    """Of a `Client`. Errors are those of the service: InvalidTrigger, UnknownTrigger, TriggerExists, …"""

    def __init__(self, send: Callable[[calls.Call[Any]], Any]) -> None:
        self._send = send

    def add(self, **fields: Unpack[TriggerFields]) -> types.Trigger:
        """Make a trigger; `warnings` of the answer say if what the triggers start will not be in time."""
        made: types.Trigger = self._send(calls.add_trigger(fields))
        return made

    def list(self, *, coming: int = 1) -> list[types.Trigger]:
        """All of them by name, each with the next `coming` due times."""
        found: list[types.Trigger] = self._send(calls.trigger_list(coming))
        return found

    def get(self, trigger: str, *, coming: int = 10) -> types.Trigger:
        """One, by its name, its id or an unambiguous beginning of that."""
        found: types.Trigger = self._send(calls.trigger(trigger, coming))
        return found

    def change(self, trigger: str, **fields: Unpack[TriggerFields]) -> types.Trigger:
        """What is left out stays; None goes back to the default. A task is replaced as a whole."""
        changed: types.Trigger = self._send(calls.change_trigger(trigger, fields))
        return changed

    def pause(self, trigger: str) -> types.Trigger:
        """Nothing fires until `resume`; what came due meanwhile is then late."""
        paused: types.Trigger = self._send(calls.pause_trigger(trigger, True))
        return paused

    def resume(self, trigger: str) -> types.Trigger:
        resumed: types.Trigger = self._send(calls.pause_trigger(trigger, False))
        return resumed

    def run(self, trigger: str) -> types.Firing:
        """Fire now. The overlap policy may hold or skip it: see `outcome`."""
        firing: types.Firing = self._send(calls.run_trigger(trigger))
        return firing

    def backfill(self, trigger: str, since: float, until: float, *, start: bool = False) -> types.Backfill:
        """Due times from `since` to before `until` that have not fired; started only with `start`."""
        plan: types.Backfill = self._send(calls.backfill(trigger, since, until, start))
        return plan

    def delete(self, trigger: str) -> None:
        """What it started goes on, and the history of its firings stays."""
        self._send(calls.delete_trigger(trigger))

    def firings(
        self,
        trigger: str | None = None,
        *,
        since: float | None = None,
        before: float | None = None,
        outcomes: Iterable[str] = (),
        limit: int = 100,
    ) -> builtins.list[types.Firing]:
        """What became of due times, the latest first; of all triggers if none is named."""
        found: builtins.list[types.Firing] = self._send(
            calls.firings(trigger, since, before, outcomes, limit)
        )
        return found


class AsyncTriggers:
    """Of an `AsyncClient`."""

    def __init__(self, send: Callable[[calls.Call[Any]], Awaitable[Any]]) -> None:
        self._send = send

    async def add(self, **fields: Unpack[TriggerFields]) -> types.Trigger:
        """Make a trigger; `warnings` of the answer say if what the triggers start will not be in time."""
        made: types.Trigger = await self._send(calls.add_trigger(fields))
        return made

    async def list(self, *, coming: int = 1) -> list[types.Trigger]:
        """All of them by name, each with the next `coming` due times."""
        found: list[types.Trigger] = await self._send(calls.trigger_list(coming))
        return found

    async def get(self, trigger: str, *, coming: int = 10) -> types.Trigger:
        """One, by its name, its id or an unambiguous beginning of that."""
        found: types.Trigger = await self._send(calls.trigger(trigger, coming))
        return found

    async def change(self, trigger: str, **fields: Unpack[TriggerFields]) -> types.Trigger:
        """What is left out stays; None goes back to the default. A task is replaced as a whole."""
        changed: types.Trigger = await self._send(calls.change_trigger(trigger, fields))
        return changed

    async def pause(self, trigger: str) -> types.Trigger:
        """Nothing fires until `resume`; what came due meanwhile is then late."""
        paused: types.Trigger = await self._send(calls.pause_trigger(trigger, True))
        return paused

    async def resume(self, trigger: str) -> types.Trigger:
        resumed: types.Trigger = await self._send(calls.pause_trigger(trigger, False))
        return resumed

    async def run(self, trigger: str) -> types.Firing:
        """Fire now. The overlap policy may hold or skip it: see `outcome`."""
        firing: types.Firing = await self._send(calls.run_trigger(trigger))
        return firing

    async def backfill(
        self, trigger: str, since: float, until: float, *, start: bool = False
    ) -> types.Backfill:
        """Due times from `since` to before `until` that have not fired; started only with `start`."""
        plan: types.Backfill = await self._send(calls.backfill(trigger, since, until, start))
        return plan

    async def delete(self, trigger: str) -> None:
        """What it started goes on, and the history of its firings stays."""
        await self._send(calls.delete_trigger(trigger))

    async def firings(
        self,
        trigger: str | None = None,
        *,
        since: float | None = None,
        before: float | None = None,
        outcomes: Iterable[str] = (),
        limit: int = 100,
    ) -> builtins.list[types.Firing]:
        """What became of due times, the latest first; of all triggers if none is named."""
        found: builtins.list[types.Firing] = await self._send(
            calls.firings(trigger, since, before, outcomes, limit)
        )
        return found
