"""The moments of a cron line in a zone, with a chosen policy for hours that do not exist or come twice.

cronsim finds the local times, on a clock without a zone; which moments they are is decided here, as no cron
library lets its user choose.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from trainmaster.domain.trigger import Cron, Fold, Gap, InvalidTrigger, zone_named

NAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Samoa once left out a whole day: no change of a clock is larger.
_WIDEST_S = 26 * 3600


def validate_cron(cron: Cron) -> None:
    """Raise InvalidTrigger for a line that cannot be read or is never due."""
    zone_named(cron.zone)
    try:
        next(CronSim(_expanded(cron.line), datetime(2000, 1, 1)))
    except CronSimError as error:
        problem = str(error)
    except (StopIteration, OverflowError):
        problem = "it is never due within 50 years"
    else:
        return
    raise InvalidTrigger(
        f"cron: {cron.line!r}: {problem}",
        remedy='write five fields "minute hour day month weekday", six with seconds first, or @daily',
        field="cron",
    )


def _expanded(line: str) -> str:
    return NAMES.get(line.strip().lower(), line)


def policies(cron: Cron) -> tuple[Gap, Fold]:
    """Those chosen, or Debian cron's (see `domain.trigger.Cron`)."""
    fields = _expanded(cron.line).split()
    minute, hour = fields[-5:][:2]
    by_real_time = minute.startswith("*") or hour.startswith("*")
    gap = Gap.SKIP if by_real_time else Gap.AFTER
    fold = Fold.BOTH if by_real_time else Fold.FIRST
    return cron.gap or gap, cron.fold or fold


def moments(cron: Cron, after_s: int) -> Iterator[int]:
    """Epoch seconds at which the line is due, later than `after_s`, strictly rising. Ends after 50 years
    without one.

    A local time maps to no moment, one or two, and around a change of the clock not in order: moments wait
    until no later local time can come before them.
    """
    zone = zone_named(cron.zone)
    gap, fold = policies(cron)
    local = _local(zone, after_s)
    # Where a change is near, local times up to its length earlier may still be due.
    local -= abs(_offset(zone, after_s + _WIDEST_S) - _offset(zone, after_s - _WIDEST_S))
    waiting: list[int] = []
    last = after_s
    # cronsim starts after the time it is given, and not in the middle of a second.
    for wall in CronSim(_expanded(cron.line), local - timedelta(seconds=1)):
        earliest, due = _moments_of(zone, wall, gap, fold)
        while waiting and waiting[0] < earliest:
            moment = heapq.heappop(waiting)
            if moment > last:
                last = moment
                yield moment
        for moment in due:
            heapq.heappush(waiting, moment)
    for moment in sorted(waiting):
        if moment > last:
            last = moment
            yield moment


def _moments_of(zone: ZoneInfo, wall: datetime, gap: Gap, fold: Fold) -> tuple[int, tuple[int, ...]]:
    """(the earliest moment that this or a later local time can be due at, the moments of this one)."""
    first = int((wall.replace(tzinfo=zone, fold=0) - _EPOCH).total_seconds())
    second = int((wall.replace(tzinfo=zone, fold=1) - _EPOCH).total_seconds())
    if first == second:
        return first, (first,)
    if first < second:
        return first, {Fold.FIRST: (first,), Fold.SECOND: (second,), Fold.BOTH: (first, second)}[fold]
    change = _change_between(zone, second, first)
    return change, {Gap.SKIP: (), Gap.AFTER: (change,), Gap.SHIFT: (first,)}[gap]


def _change_between(zone: ZoneInfo, before_s: int, after_s: int) -> int:
    """The first second that has the offset of `after_s`."""
    offset = _offset(zone, after_s)
    low, high = before_s, after_s
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle) == offset:
            high = middle
        else:
            low = middle
    return high


def _offset(zone: ZoneInfo, moment_s: int) -> timedelta:
    return (_EPOCH + timedelta(seconds=moment_s)).astimezone(zone).utcoffset() or timedelta()


def _local(zone: ZoneInfo, moment_s: int) -> datetime:
    return (_EPOCH + timedelta(seconds=moment_s)).astimezone(zone).replace(tzinfo=None)
