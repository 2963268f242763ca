"""Sizes the cluster live: forecasts the service's own volume, recommends nodes, and acts if told to.

One decision at each end of an interval, from what the store remembers; between two of them sleeping nodes are
woken for tasks that wait, never drained. Numbers are crunched in a thread, and numpy is imported only once
there is a history to look at.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass, fields
from itertools import pairwise
from math import gcd
from typing import TYPE_CHECKING

import structlog

from trainmaster.domain.errors import CannotForecast, TrainmasterError
from trainmaster.domain.events import ClusterSized, NodesNeeded, SizingChanged
from trainmaster.domain.ids import UserName
from trainmaster.domain.sizing import Grid, Outlook, Sized, SizingKnobs, Standing, Worked
from trainmaster.ports import Clock, Store
from trainmaster.scheduler.drains import KNOBS, needed, standing
from trainmaster.service.loop import Loop

if TYPE_CHECKING:
    from trainmaster.forecasting.series import Series

log = structlog.get_logger(__name__)

TRACK, MEMORY = "sizing-track", "sizing-memory"  # names of settings

_TICK_S = 15.0  # between looks for tasks that need a sleeping node
_PATIENCE_S = 15.0  # a task that lacks room now wakes a node after this
_SETTLE_S = 0.5  # after the end of an interval, until its last rows are stored
_JOINING_S = 1.0  # between looks for a first node
_RETRY_S = 60.0  # after a decision that could not be made
_LONGEST_S = 7 * 86400.0  # of a worker's time: one that was never seen to end must not say what a task takes
_ROWS_WORKED = 24  # latest intervals that the capacity is measured on
_TRACKED = 336  # past recommendations kept
_MOST_SLOTS = 65_536  # counts kept in memory: more rows than the models look at


@dataclass(slots=True)
class _Memory:
    """What the policy carries on: into the decision for the interval from `row`, and out of it."""

    row: float = 0.0
    before: tuple[tuple[int, ...], float | None] = ((), None)
    after: tuple[tuple[int, ...], float | None] = ((), None)


class Sizing:
    """`restore`, `run` until cancelled. `outlook`: the latest; None while there is none, see `why_not`."""

    def __init__(
        self, loop: Loop, store: Store, clock: Clock, grid: Grid, knobs: SizingKnobs, keep_s: float
    ) -> None:
        """`knobs`: where nobody has set any yet; `keep_s`: age at which ended tasks are deleted."""
        self.grid = grid
        self.knobs = knobs
        self.outlook: Outlook | None = None
        self.why_not = "no task was submitted yet, so there is nothing to forecast from"
        self.track: deque[Sized] = deque(maxlen=_TRACKED)
        self._loop = loop
        self._store = store
        self._clock = clock
        self._keep_s = keep_s
        # Intervals start at multiples of this on every zone's clock: offsets are quarters of an hour.
        self._slot_s = float(gcd(int(grid.interval_s), 900))
        self._slots: dict[int, int] = {}
        self._since = 0.0
        self._last_seq = 0
        self._worked: dict[float, Worked] = {}
        self._memory = _Memory()
        self._due = 0.0
        self._lock = asyncio.Lock()

    def restore(self, settings: dict[str, str]) -> None:
        """Go on from where an earlier life was."""
        if KNOBS in settings:
            known = {field.name for field in fields(SizingKnobs)}
            told = json.loads(settings[KNOBS])
            self.knobs = SizingKnobs(**{name: value for name, value in told.items() if name in known})
        self.track.extend(Sized(*row) for row in json.loads(settings.get(TRACK, "[]")))
        if MEMORY in settings:
            row, before, after = json.loads(settings[MEMORY])
            self._memory = _Memory(row, (tuple(before[0]), before[1]), (tuple(after[0]), after[1]))

    @property
    def standing(self) -> Standing:
        return standing(self._loop.state)

    async def run(self) -> None:
        while True:
            try:
                await self._turn()
            except Exception as error:
                # Whatever goes wrong here must not end sizing: the next interval may well do.
                self._due = self._clock.now() + min(_RETRY_S, self.grid.interval_s)
                if isinstance(error, TrainmasterError):
                    self.why_not = error.message
                    log.warning("sizing postponed", error=error.message, code=error.code)
                else:
                    self.why_not = f"it failed: {error}"
                    log.exception("sizing failed")
            await asyncio.sleep(min(max(self._due - self._clock.now(), 0.05), _TICK_S))

    async def change(self, knobs: SizingKnobs, by: UserName) -> None:
        """Set how the cluster is sized, and decide anew for the running interval.

        Raises StoreUnavailable, StoreFull. What keeps a forecast from being made is in `why_not`.
        """
        async with self._lock:
            await self._record(SizingChanged(knobs, by))
            self.knobs = knobs
            if self._loop.state.next_seq == 1:
                return
            try:
                await self._decide(changed=True)
            except CannotForecast as error:
                self.why_not = error.message

    async def _turn(self) -> None:
        now = self._clock.now()
        asleep = self.standing.asleep
        if asleep and not self.knobs.apply:
            # The configuration said so in an earlier life and no longer does.
            await self._record(NodesNeeded(asleep, "sizing is not applied"))
        if self._loop.state.next_seq == 1:
            self._due = now + _TICK_S
        elif now >= self._due:
            async with self._lock:
                await self._decide()
        elif self.knobs.apply:
            event = needed(self._loop.state, self.knobs, now, _PATIENCE_S)
            if event is not None:
                await self._record(event)

    async def _decide(self, changed: bool = False) -> None:
        now = self._clock.now()
        if not self.standing.total:
            self._due = now + _JOINING_S
            self.why_not = "no node has joined yet"
            return
        await self._read(now)
        found = None
        if self._slots:
            found = await asyncio.to_thread(_series, self._slots, self._slot_s, self._since, now, self.grid)
        if found is None:
            self._due = now + min(_RETRY_S, self.grid.interval_s)
            self.why_not = "no interval has ended since the first task was submitted"
            return
        series, edges = found
        # Restarts and changes of mind decide again for the same interval, and from the same memory.
        again = edges[-1] == self._memory.row
        before = self._memory.before if again else self._memory.after
        worked = await self._work(edges)
        seen = self.standing
        outlook = await asyncio.to_thread(_look, series, worked, seen, self.knobs, self.grid, before, now)
        if changed or not again:
            await self._tell(outlook, seen, _Memory(edges[-1], before, outlook.memory))
        self.outlook, self.why_not = outlook, ""
        self._due = outlook.next_at + _SETTLE_S

    async def _read(self, now: float) -> None:
        counts, self._last_seq = await self._store.arrivals(self._last_seq, self._slot_s)
        if counts and not self._since:
            # Older tasks may be deleted already: an interval is known only from when all of them are kept.
            self._since = max(min(counts) * self._slot_s, now - self._keep_s)
        for slot, number in counts.items():
            self._slots[slot] = self._slots.get(slot, 0) + number
        if len(self._slots) > _MOST_SLOTS:
            kept = sorted(self._slots)[_MOST_SLOTS // 2 :]
            self._slots = {slot: self._slots[slot] for slot in kept}
            self._since = max(self._since, kept[0] * self._slot_s)

    async def _work(self, edges: list[float]) -> tuple[Worked, ...]:
        """What ended between the edges, oldest first; if nothing did, whatever ended before them."""
        rows = dict(pairwise(edges))
        self._worked = {start: self._worked[start] for start in rows if start in self._worked}
        for start, end in rows.items():
            if start not in self._worked:
                self._worked[start] = await self._store.worked(start, end, _LONGEST_S)
        found = tuple(self._worked[start] for start in rows)
        if any(worked.tasks for worked in found):
            return found
        return (await self._store.worked(0.0, edges[0], _LONGEST_S), *found)

    async def _tell(self, outlook: Outlook, seen: Standing, memory: _Memory) -> None:
        if outlook.wanted is None:
            self._memory = memory
            return
        wake, drain = (outlook.wake, outlook.drain) if self.knobs.apply else (0, 0)
        row = Sized(memory.row, outlook.wanted, len(seen.on) + wake - drain, self.knobs.apply)
        last = self.track[-1] if self.track else None
        track = [one for one in self.track if one.time != memory.row][1 - _TRACKED :]
        coming = outlook.coming[0]
        await self._record(
            ClusterSized(
                outlook.wanted, wake, drain, outlook.reason,
                {"forecast": coming.tasks, "upper": coming.upper, "capacity": outlook.capacity,
                 "on": row.on, "policy": self.knobs.policy, "applied": self.knobs.apply},
                {TRACK: json.dumps([*track, row]),
                 MEMORY: json.dumps([memory.row, memory.before, memory.after])},
                repeated=not wake and not drain and last is not None and last.wanted == row.wanted,
            )
        )  # fmt: skip
        self.track = deque([*track, row], _TRACKED)
        self._memory = memory

    async def _record(self, event: ClusterSized | NodesNeeded | SizingChanged) -> None:
        (refusal,) = await self._loop.request([event])
        if refusal is not None:
            raise refusal


def _series(
    slots: dict[int, int], slot_s: float, since: float, now: float, grid: Grid
) -> tuple[Series, list[float]] | None:
    """The closed intervals and the edges of the latest of them; None while there is none. In a thread."""
    from trainmaster.forecasting.errors import EmptySeries, ForecastError
    from trainmaster.policies.sizing.outlook import series_of

    try:
        series = series_of(slots, slot_s, since, now, grid)
    except EmptySeries:
        return None
    except ForecastError as error:
        raise CannotForecast(str(error)) from error
    first = max(len(series) - _ROWS_WORKED, 0)
    return series, [float(edge) for edge in series.starts(range(first, len(series) + 1))]


def _look(
    series: Series,
    worked: tuple[Worked, ...],
    seen: Standing,
    knobs: SizingKnobs,
    grid: Grid,
    memory: tuple[tuple[int, ...], float | None],
    now: float,
) -> Outlook:
    """In a thread."""
    from trainmaster.forecasting.errors import ForecastError
    from trainmaster.policies.sizing.outlook import look
    from trainmaster.policies.sizing.snapshot import BadSizing, SizingMemory

    try:
        return look(series, worked, seen, knobs, grid, SizingMemory(*memory), now)
    except (ForecastError, BadSizing) as error:
        raise CannotForecast(str(error)) from error
