"""Local time on arrays: offsets of a zone, same time some days earlier, kinds of days.

All moments are float64 seconds since 1970-01-01T00:00Z ("epoch seconds"). "Local seconds" are epoch
seconds plus the zone's offset: what a wall clock shows, counted as if it were UTC. Nothing here reads
the present time.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from trainmaster.forecasting.errors import UnknownZone

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

DAY_S = 86400.0
HOLIDAY_KIND = 6
"""A holiday counts as a Sunday (kinds 0..6 are Monday..Sunday)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1)


@lru_cache(maxsize=64)
def zone_named(name: str) -> ZoneInfo:
    """The IANA zone called `name`; raises UnknownZone."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UnknownZone(name) from error


def _offset(zone: ZoneInfo, t: float) -> float:
    delta = (_EPOCH + timedelta(seconds=t)).astimezone(zone).utcoffset()
    return 0.0 if delta is None else delta.total_seconds()


@lru_cache(maxsize=64)
def _transitions(name: str, first_day: int, last_day: int) -> tuple[FloatArray, FloatArray]:
    """Moments in the given days (epoch days) at which the zone's offset changes, and the offsets.

    Returns (at[k], offset[k + 1]); offset[i] holds before at[i]. Found by comparing noons a week apart
    and bisecting to the second: no zone changes its clock twice a week for good.
    """
    zone = zone_named(name)
    at: list[float] = []
    offsets = [_offset(zone, first_day * DAY_S)]
    for day in range(first_day, last_day + 1, 7):
        low, high = day * DAY_S, min(day + 7, last_day + 1) * DAY_S
        if _offset(zone, high) == offsets[-1]:
            continue
        while high - low > 1.0:
            middle = float(np.floor((low + high) / 2))
            if _offset(zone, middle) == offsets[-1]:
                low = middle
            else:
                high = middle
        at.append(high)
        offsets.append(_offset(zone, high))
    return np.array(at), np.array(offsets)


def utc_offset(t: FloatArray, zone: str) -> FloatArray:
    """Offset of local from universal time at each moment, in seconds (positive east)."""
    if zone == "UTC" or t.size == 0:
        return np.zeros(t.shape)
    # Whole years as keys let nearby questions share one table.
    first = int(np.floor(float(np.min(t)) / DAY_S / 365)) * 365
    last = (int(np.floor(float(np.max(t)) / DAY_S / 365)) + 1) * 365
    at, offsets = _transitions(zone, first, last)
    found: FloatArray = offsets[np.searchsorted(at, t, side="right")]
    return found


def days_earlier(t: FloatArray, days: FloatArray | float, zone: str) -> FloatArray:
    """The moment that showed the same wall-clock time `days` days earlier.

    Across a change of the clock this is 23 or 25 hours per day rather than 24. A wall-clock time that
    the change skipped maps to the moment one offset later, one that it repeated to its second showing.
    """
    plain = t - np.asarray(days) * DAY_S
    return plain + utc_offset(t, zone) - utc_offset(plain, zone)


def local_day(t: FloatArray, zone: str) -> IntArray:
    """Number of the local calendar day (0 = 1970-01-01) at each moment."""
    return np.floor((t + utc_offset(t, zone)) / DAY_S + 1e-9).astype(np.int64)


def day_number(day: date) -> int:
    """Number of a calendar day, 0 for 1970-01-01."""
    return (day - _EPOCH_DAY).days


def midnight(day: int, zone: str) -> float:
    """Epoch seconds of the start of local calendar day `day`."""
    moment = datetime.combine(_EPOCH_DAY + timedelta(days=day), datetime.min.time(), zone_named(zone))
    return (moment.astimezone(UTC) - _EPOCH).total_seconds()


def day_kinds(days: IntArray, holidays: Iterable[date] = ()) -> IntArray:
    """Kind of each local day: 0..6 for Monday..Sunday; a holiday counts as a Sunday."""
    kinds = (days + 3) % 7  # 1970-01-01 was a Thursday
    numbers = [day_number(h) for h in holidays]
    if numbers:
        kinds = np.where(np.isin(days, numbers), HOLIDAY_KIND, kinds)
    return kinds.astype(np.int64)


def like_days_back(
    days: IntArray, count: int, holidays: Iterable[date] = (), oldest: int | None = None
) -> FloatArray:
    """How many days back the last `count` days of the same kind lie, for each local day in `days`.

    Shape (count, len(days)), nearest first. Without holidays these are 7, 14, 21 … days. NaN where
    the search passes `oldest` (a day number; default: `count` + 4 weeks back).
    """
    if days.size == 0:
        return np.empty((count, 0))
    if not tuple(holidays):
        weeks = 7.0 * np.arange(1, count + 1)[:, None]
        back = np.repeat(weeks, days.size, axis=1)
        if oldest is not None:
            back[days[None, :] - back < oldest] = np.nan
        return back
    first, last = int(days.min()), int(days.max())
    low = first - 7 * (count + 4) if oldest is None else oldest
    span = np.arange(min(low, first), last + 1, dtype=np.int64)
    kinds = day_kinds(span, holidays)
    table = np.full((count, span.size), np.nan)
    for kind in range(7):
        where = np.flatnonzero(kinds == kind)
        for k in range(1, min(count, where.size - 1) + 1):
            table[k - 1, where[k:]] = (where[k:] - where[:-k]).astype(np.float64)
    found: FloatArray = table[:, days - span[0]]
    return found
