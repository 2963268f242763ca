"""Reads the history as it grows, looks at the present now and then, and has the rules decide.

Level-triggered: the number of the last line seen is stored with what came of it, in one transaction, so that
a restart misses nothing and raises nothing twice.
"""

from __future__ import annotations

import asyncio

import structlog

from trainmaster.alarms.book import Book, Present
from trainmaster.alarms.courier import Courier
from trainmaster.alarms.memory import from_json, to_json
from trainmaster.alarms.rules.gather import Outbox
from trainmaster.alarms.rules.occurrences import KINDS, Occurrence, occurrences
from trainmaster.alarms.rules.standing import Look
from trainmaster.alarms.rules.watch import Watches, evaluate
from trainmaster.domain.alarm import STANDING, Alarm, AlarmBatch, Condition, Idle, Late, Rule, Send
from trainmaster.domain.errors import TrainmasterError
from trainmaster.ports import Clock

log = structlog.get_logger(__name__)

TICK_S = 1.0  # between looks at the history
LOOK_S = 5.0  # between looks at the present, and at rules and channels somebody else changed
LATELY_S = 300.0  # firings that began late matter for so long
_AT_ONCE = 5000  # lines of history in one evaluation
_REST_S = 60.0  # a cursor that moved over nothing of interest is stored so often
_RETRY_S = 1.0
_EXPIRE_S = 3600.0
_EXPIRED_AT_ONCE = 1000


class Watchman:
    """`run` until cancelled. Of one database only one may run at a time."""

    def __init__(
        self,
        book: Book,
        present: Present,
        clock: Clock,
        courier: Courier,
        outbox: Outbox,
        keep_s: float = 90 * 86400.0,
        tick_s: float = TICK_S,
        look_s: float = LOOK_S,
    ) -> None:
        """`keep_s`: age at which alarms that are over, and messages, are deleted."""
        self._book = book
        self._present = present
        self._clock = clock
        self._courier = courier
        self._outbox = outbox
        self._keep_s = keep_s
        self._tick_s = tick_s
        self._look_s = look_s
        self._rules: dict[str, Rule] = {}
        self._watches: Watches = {}
        self._cursor = 0
        self._stored: tuple[int, str] = (0, "")
        self._stored_at = 0.0
        self._look_due = 0.0
        self._expire_due = 0.0
        self._news = asyncio.Event()

    def changed(self) -> None:
        """Rules or channels did: take them up at once."""
        self._look_due = 0.0
        self._news.set()

    async def run(self) -> None:
        while True:
            try:
                await self._restore()
                while True:
                    again = await self._turn()
                    if not again:
                        await self._rest()
            except TrainmasterError as error:
                # What was not stored is evaluated again, from what was.
                log.warning("alarms postponed", error=error.message, code=error.code)
            except Exception:
                log.exception("alarms postponed")
            await asyncio.sleep(_RETRY_S)

    async def _restore(self) -> None:
        cursor, watches, alarms, pending = await self._book.memory()
        # What happened before there was anybody to look raises nothing.
        self._cursor = await self._book.last_record() if cursor is None else cursor
        self._watches = from_json(watches, alarms)
        self._stored = (-1 if cursor is None else cursor, watches)
        self._outbox.restore(pending, self._courier.tried)
        await self._read_rules()
        self._courier.put(pending)
        self._look_due = 0.0

    async def _read_rules(self) -> None:
        self._rules = {rule.name: rule for rule in await self._book.rules()}
        self._courier.channels = {channel.name: channel for channel in await self._book.channels()}

    async def _turn(self) -> bool:
        """One evaluation. True if more history waits."""
        now = self._clock.now()
        look = None
        if now >= self._look_due:
            self._look_due = now + self._look_s
            await self._read_rules()
            look = await self._look(now)
        active = [rule for rule in self._rules.values() if rule.enabled]
        kinds = sorted({kind for rule in active for kind in KINDS.get(rule.condition, ())})
        happened, cursor = await self._book.happened(self._cursor, kinds, _AT_ONCE)
        seen: list[Occurrence] = [one for line in happened for one in occurrences(line)]
        if active or self._watches:
            acknowledged = frozenset[str]()
            if any(watch.alarm is not None for watch in self._watches.values()):
                acknowledged = await self._book.acknowledged()
            verdict = evaluate(self._rules, self._watches, seen, look, acknowledged, now)
            async with self._courier.taking:
                sends = self._outbox.put(verdict.notices, self._courier.channels, now)
                await self._keep(cursor, now, list(verdict.alarms.values()), sends)
                self._courier.put(sends)
        else:
            await self._keep(cursor, now, [], [])
        if now >= self._expire_due and not await self._book.expire(now - self._keep_s, _EXPIRED_AT_ONCE):
            self._expire_due = now + _EXPIRE_S
        return len(happened) == _AT_ONCE

    async def _keep(self, cursor: int, now: float, alarms: list[Alarm], sends: list[Send]) -> None:
        watches = to_json(self._watches)
        moved = (cursor, watches) != self._stored
        if alarms or sends or watches != self._stored[1] or (moved and now - self._stored_at >= _REST_S):
            await self._book.record(AlarmBatch(cursor, watches, alarms, sends))
            self._stored, self._stored_at = (cursor, watches), now
        self._cursor = cursor

    async def _look(self, now: float) -> Look | None:
        """As much of the present as some rule asks for."""
        least: dict[Condition, float] = {}
        for rule in self._rules.values():
            if rule.enabled and rule.condition in STANDING:
                least[rule.condition] = min(rule.bound, least.get(rule.condition, rule.bound))
        if not least:
            return None
        waiting: tuple[Idle, ...] = ()
        silent: tuple[Idle, ...] = ()
        if (bound := least.get(Condition.QUEUE_WAIT)) is not None:
            waiting = await self._book.waiting(now - bound, now)
        if (bound := least.get(Condition.NO_PROGRESS)) is not None:
            silent = await self._book.silent(now - bound)
        late: tuple[Late, ...] = ()
        if (bound := least.get(Condition.FIRING_DELAY)) is not None:
            late = await self._book.late(now - LATELY_S, now, bound)
        nodes = dict(await self._present.nodes()) if Condition.NODE_PRESSURE in least else {}
        needed = await self._present.needed() if Condition.OVER_CAPACITY in least else None
        return Look(now, waiting, silent, late, nodes, needed)

    async def _rest(self) -> None:
        try:
            await asyncio.wait_for(self._news.wait(), self._tick_s if self._rules else self._look_s)
        except TimeoutError:
            pass
        self._news.clear()
