"""Due times of cron lines against the wall clock read minute by minute (zoneinfo arithmetic, no cron
library).

1,000 lines, 30 days around both changes of the clock, five zones.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest

from trainmaster.domain.trigger import Cron, Fold, Gap, Timing
from trainmaster.policies.firing.due import due_times

# Both hemispheres, a change of half an hour, and one at midnight. The two changes of 2026 in each.
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Pacific/Auckland")
LINES = 1000
DAYS = 30


class Clock:
    """What the clock on the wall shows at every minute of the days, and which showings come twice."""

    def __init__(self, zone: ZoneInfo, first: int) -> None:
        moments = range(first, first + DAYS * 86400, 60)
        self.wall = {
            at: datetime.fromtimestamp(at, UTC).astimezone(zone).replace(tzinfo=None) for at in moments
        }
        shown = Counter(self.wall.values())
        seen: set[datetime] = set()
        self.first, self.again = set(), set()  # moments whose showing will come, or has come, once more
        self.by_minute: dict[int, list[int]] = {}
        for at, wall in self.wall.items():
            if shown[wall] == 2:
                (self.again if wall in seen else self.first).add(at)
            seen.add(wall)
            self.by_minute.setdefault(wall.minute, []).append(at)


def changes(zone: ZoneInfo) -> list[int]:
    """The moments of 2026 at which the clock changes, to the minute."""
    begin = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())

    def offset(at: int) -> timedelta | None:
        return datetime.fromtimestamp(at, UTC).astimezone(zone).utcoffset()

    days = [day for day in range(begin, begin + 365 * 86400, 86400) if offset(day) != offset(day + 86400)]
    return [
        next(at + 60 for at in range(day, day + 86400, 60) if offset(at) != offset(at + 60)) for day in days
    ]


def matches(wall: datetime, fields: tuple[set[int] | None, ...]) -> bool:
    minute, hour, day, weekday = fields
    return (
        (minute is None or wall.minute in minute)
        and (hour is None or wall.hour in hour)
        and (day is None or wall.day in day)
        and (weekday is None or wall.isoweekday() % 7 in weekday)
    )


def random_line(draw: random.Random) -> tuple[str, tuple[set[int] | None, ...]]:
    def field(low: int, high: int, chance: float) -> tuple[str, set[int] | None]:
        if draw.random() > chance:
            return "*", None
        values = sorted({draw.randint(low, high) for _ in range(draw.randint(1, 3))})
        return ",".join(map(str, values)), set(values)

    minute = field(0, 59, 0.98)
    # Around the changes, half of the time.
    hour = field(0, 3, 0.8) if draw.random() < 0.5 else field(0, 23, 0.8)
    day, weekday = field(1, 28, 0.2), ("*", None)
    if day[1] is None:
        weekday = field(0, 6, 0.2)
    return f"{minute[0]} {hour[0]} {day[0]} * {weekday[0]}", (minute[1], hour[1], day[1], weekday[1])


def expected(
    clock: Clock,
    change: int,
    fields: tuple[set[int] | None, ...],
    gap: Gap,
    fold: Fold,
) -> list[int]:
    """Read the clock: each local minute that matches, and by hand what the change does to it."""
    found = set()
    for minute in range(60) if fields[0] is None else fields[0]:
        for at in clock.by_minute[minute]:
            if matches(clock.wall[at], fields):
                found.add(at)
    if fold is not Fold.BOTH:
        found -= clock.again if fold is Fold.FIRST else clock.first
    leapt = clock.wall[change - 60] + timedelta(minutes=1)
    late = 0
    while leapt < clock.wall[change]:
        if matches(leapt, fields) and gap is not Gap.SKIP:
            found.add(change if gap is Gap.AFTER else change + late * 60)
        leapt += timedelta(minutes=1)
        late += 1
    return sorted(found)


@pytest.mark.parametrize("name", ZONES)
def test_every_due_time_exactly_once_across_both_changes(name: str) -> None:
    zone, draw = ZoneInfo(name), random.Random(name)
    both = changes(zone)
    assert len(both) == 2
    fired = 0
    for change in both:
        first = change - 15 * 86400
        clock = Clock(zone, first)
        for _ in range(LINES // len(ZONES) // 2):
            line, fields = random_line(draw)
            gap, fold = draw.choice([*Gap, None]), draw.choice([*Fold, None])
            by_real_time = fields[0] is None or fields[1] is None
            truth = expected(
                clock,
                change,
                fields,
                gap or (Gap.SKIP if by_real_time else Gap.AFTER),
                fold or (Fold.BOTH if by_real_time else Fold.FIRST),
            )
            timing = Timing(Cron(line, name, gap, fold))
            end = (first + DAYS * 86400) * 1000
            ours = list(takewhile(lambda due, end=end: due < end, due_times(timing, first * 1000 - 1)))
            assert ours == [at * 1000 for at in truth], (line, gap, fold, change)
            # Asked for anew after every firing, as after a restart, the answer is the same.
            for due, following in list(pairwise(ours))[:: max(len(ours) // 5, 1)]:
                assert next(due_times(timing, due)) == following
            fired += len(ours)
    assert fired > 1000
