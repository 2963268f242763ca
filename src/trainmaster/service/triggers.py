"""Triggers as the surfaces see them: requests in, answers out."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile

from trainmaster.domain.events import (
    BackfillRequested,
    Event,
    FiringRequested,
    TriggerChanged,
    TriggerCreated,
    TriggerDeleted,
    TriggerPaused,
)
from trainmaster.domain.firing import (
    Firing,
    FiringOutcome,
    Trigger,
    UnknownTrigger,
    changed,
    validate_trigger,
)
from trainmaster.domain.ids import TriggerId, UserName, trigger_id
from trainmaster.domain.target import WorkflowTarget
from trainmaster.domain.task import TaskSpec
from trainmaster.domain.trigger import Interval, InvalidTrigger
from trainmaster.domain.workflow import Definition
from trainmaster.policies.firing import due
from trainmaster.ports import Clock, Store
from trainmaster.scheduler.firing import instant
from trainmaster.service.feasibility import warnings
from trainmaster.service.loop import Loop
from trainmaster.service.workflows import Workflows

MOST_BACKFILLED = 1000
_LOOKED_THROUGH = 100_000  # due times in one period of a back-fill


@dataclass(frozen=True, slots=True)
class Backfill:
    """What a back-fill would start (`dues`), and how many due times in its period have fired already."""

    dues: tuple[int, ...]
    fired: int


@dataclass(slots=True)
class TriggerDesk:
    """`checked` validates a task of a trigger as that of any user, and fills in what the service knows."""

    loop: Loop
    store: Store
    clock: Clock
    lane_depth: int
    checked: Callable[[TaskSpec], TaskSpec]
    workflows: Workflows
    _backfilling: asyncio.Lock = field(default_factory=asyncio.Lock)
    _manual_ms: int = 0

    def all(self) -> list[Trigger]:
        """By name."""
        return sorted(self.loop.state.triggers.all.values(), key=lambda trigger: trigger.name)

    def find(self, text: str) -> Trigger:
        """By name, id, or an unambiguous beginning of an id. Raises UnknownTrigger."""
        triggers = self.loop.state.triggers.all
        if TriggerId(text) in triggers:
            return triggers[TriggerId(text)]
        named = [trigger for trigger in triggers.values() if trigger.name == text]
        begun = named or [
            one for one in triggers.values() if one.id.startswith(text if text[:2] == "g-" else f"g-{text}")
        ]
        if len(begun) == 1:
            return begun[0]
        if begun:
            raise UnknownTrigger(
                f"{text} is ambiguous", remedy="give more of the id, or the name", trigger=text
            )
        raise UnknownTrigger(f"there is no trigger {text!r}", trigger=text)

    async def create(self, trigger: Trigger) -> tuple[Trigger, list[str]]:
        """Record a new trigger; the answer has warnings, see `feasibility`.

        `trigger.id` and `seed` are given here. Raises InvalidTrigger, UnknownZone, InvalidTask,
        TriggerExists, Unplaceable, UnknownWorkflow, WrongParameter, StoreUnavailable, StoreFull.
        """
        made = self._made(
            changed(trigger, id=trigger_id(secrets.randbits(64)), seed=secrets.randbits(63)), self._now_ms()
        )
        warned = await warnings(self.loop.state, self.store, made, self.lane_depth)
        async with self.workflows.defining:
            await self._one(TriggerCreated(made, await self._definitions(made)))
        return self.find(made.id), warned

    async def change(self, before: Trigger, trigger: Trigger, by: UserName) -> tuple[Trigger, list[str]]:
        """Give a trigger another definition, from now on. Raises as `create`."""
        # An interval without a start of its own keeps the one it was given.
        start = before.timing.start_ms if before.timing.rule == trigger.timing.rule else self._now_ms()
        made = self._made(
            changed(trigger, id=before.id, user=before.user, created_at=before.created_at), start
        )
        warned = await warnings(self.loop.state, self.store, made, self.lane_depth)
        async with self.workflows.defining:
            await self._one(TriggerChanged(made, by, await self._definitions(made)))
        return self.find(before.id), warned

    async def pause(self, trigger: TriggerId, paused: bool, by: UserName) -> Trigger:
        await self._one(TriggerPaused(trigger, paused, by))
        return self.find(trigger)

    async def delete(self, trigger: TriggerId, by: UserName) -> None:
        """What it started goes on, and the history of its firings stays."""
        await self._one(TriggerDeleted(trigger, by))

    async def run(self, trigger: Trigger, by: UserName) -> Firing:
        """Fire now. The answer says what became of it, as the overlap policy may hold or skip it."""
        due_ms = self._manual_ms = max(self._now_ms(), self._manual_ms + 1)
        while next(due.due_times(trigger.timing, due_ms - 1), None) == due_ms:
            due_ms += 1  # that is a due time of the rule, and each due time is decided on once
        await self._one(FiringRequested(trigger.id, due_ms, by))
        found = await self.store.firings(trigger.id, since_ms=due_ms, before_ms=due_ms + 1, limit=1)
        return found[0].firing

    async def plan_backfill(self, trigger: Trigger, since_ms: int, until_ms: int) -> Backfill:
        """The due times from `since_ms` to before `until_ms` that have not fired. Raises InvalidTrigger for
        more than 1,000 of them, a period that is not over, or one of which it is not known any more what
        fired."""
        now_ms = self._now_ms()
        if until_ms > now_ms or since_ms >= until_ms:
            remedy = "give a beginning before its end, and an end that is not in the future"
            raise InvalidTrigger("backfill: not a period of the past", remedy=remedy, field="until")
        if due.is_fixed_delay(trigger.timing):
            remedy = "run it now instead"
            raise InvalidTrigger(
                "backfill: a fixed delay has no due times of its own", remedy=remedy, field="trigger"
            )
        # The rule of today, also where in that period it was another; an interval reaches back to its start.
        timing = trigger.timing
        if not isinstance(timing.rule, Interval):
            timing = replace(timing, start_ms=min(timing.start_ms, since_ms))
        found = islice(due.due_times(timing, since_ms - 1), _LOOKED_THROUGH)
        dues = list(takewhile(lambda at: at < until_ms, found))
        taken = (FiringOutcome.FIRED.value, FiringOutcome.WAITING.value)
        rows = await self.store.firings(
            trigger.id, since_ms=since_ms, before_ms=until_ms, outcomes=taken, limit=_LOOKED_THROUGH
        )
        fired = {row.firing.due_ms for row in rows}
        first_ms, last_ms = await self.store.forgotten(trigger.id) or (0, -1)
        if any(first_ms <= at <= last_ms for at in dues):
            raise InvalidTrigger(
                f"backfill: what fired from {instant(first_ms)} to {instant(last_ms)} is not kept any more",
                remedy="choose a period before or after that (keep_events says how long it is kept)",
                field="since",
            )
        wanted = tuple(at for at in dues if at not in fired and at != trigger.next_ms)
        if len(wanted) > MOST_BACKFILLED:
            raise InvalidTrigger(
                f"backfill: {len(wanted)} due times, more than {MOST_BACKFILLED}",
                remedy="do it in several periods",
                field="since",
            )
        return Backfill(wanted, len(dues) - len(wanted))

    async def backfill(self, trigger: Trigger, since_ms: int, until_ms: int, by: UserName) -> Backfill:
        """Start what `plan_backfill` shows: all at once if the trigger's firings may overlap, else one after
        another."""
        async with self._backfilling:  # each sees what the one before has fired
            plan = await self.plan_backfill(trigger, since_ms, until_ms)
            if plan.dues:
                await self._one(BackfillRequested(trigger.id, plan.dues, by))
            return plan

    def coming(self, trigger: Trigger, limit: int, until_ms: int | None = None) -> list[int]:
        """The next due times; none of a paused trigger. Of a fixed delay only the next is known."""
        if trigger.paused or trigger.next_ms is None:
            return []
        found = [trigger.next_ms]
        if not due.is_fixed_delay(trigger.timing) and limit > 1:
            found += due.preview(trigger.timing, trigger.next_ms, limit - 1)
        return [at for at in found if until_ms is None or at < until_ms]

    def _made(self, trigger: Trigger, start_ms: int) -> Trigger:
        """Complete and checked."""
        timing = trigger.timing
        if isinstance(timing.rule, Interval) and not timing.start_ms:
            timing = replace(timing, start_ms=start_ms)
        due.validate(timing)
        trigger = changed(trigger, timing=timing)
        validate_trigger(trigger)
        if next(due.due_times(timing, self._now_ms()), None) is None:
            remedy = "give a time, or an end, that has not passed"
            raise InvalidTrigger("rule: it is never due from now on", remedy=remedy, field="rule")
        target = trigger.target
        if not isinstance(target, WorkflowTarget):
            target = self.checked(target)
        return changed(trigger, target=target, period_ms=due.shortest_period(timing, self._now_ms()))

    async def _definitions(self, trigger: Trigger) -> tuple[Definition, ...]:
        target = trigger.target
        if not isinstance(target, WorkflowTarget):
            return ()
        return await self.workflows.definitions(target.workflow, target.version)

    def _now_ms(self) -> int:
        return int(self.clock.now() * 1000)

    async def _one(self, event: Event) -> None:
        (refusal,) = await self.loop.request([event])
        if refusal is not None:
            raise refusal
