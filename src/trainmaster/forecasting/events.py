"""Counts per interval from the moments of single events, in any time zone."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

import numpy as np
from numpy.typing import ArrayLike

from trainmaster.forecasting import clock
from trainmaster.forecasting.errors import BadParameter, EmptySeries, NotFinite
from trainmaster.forecasting.series import Series


def epoch_seconds(stamps: Iterable[datetime], zone: str = "UTC") -> list[float]:
    """Epoch seconds of datetimes; those without an offset are read on the wall clock of `zone`.

    A wall-clock time shown twice means its first showing unless `fold=1` is set on it.
    """
    place = clock.zone_named(zone)
    return [(s if s.tzinfo else s.replace(tzinfo=place)).timestamp() for s in stamps]


def count(
    moments: ArrayLike,
    interval_s: float = 3600.0,
    *,
    zone: str = "UTC",
    civil: bool = False,
    since_s: float | None = None,
    until_s: float | None = None,
    weights: ArrayLike | None = None,
    holidays: frozenset[date] = frozenset(),
) -> Series:
    """Events per interval, or their summed weights (GPU-hours, say), as a Series.

    moments     epoch seconds, any order; two events at one moment count twice
    interval_s  a divisor of a day, seconds; ignored with `civil`, which counts calendar days of `zone`
    since_s, until_s  the stretch that was observed, so that quiet rows at its ends count as zero;
                without them it runs from the first to the last event. Events outside are left out.
                The running interval at `until_s` is left out: it is not complete

    Intervals start on the wall clock of `zone`: days at midnight, hours on the hour even where the
    offset is 30 or 45 minutes. Raises EmptySeries, NotFinite, BadParameter, UnknownZone.
    """
    at = np.array(moments, dtype=np.float64, ndmin=1)
    if at.size and not np.isfinite(at).all():
        row = int(np.flatnonzero(~np.isfinite(at))[0])
        raise NotFinite(row, float(at[row]))
    parts = clock.DAY_S / interval_s if interval_s > 0 else 0.0
    if not civil and (parts < 1 or abs(parts - round(parts)) > 1e-9):
        raise BadParameter("interval_s", interval_s, "a divisor of 86400")
    if at.size == 0 and (since_s is None or until_s is None):
        raise EmptySeries(0)
    begin = float(at.min()) if since_s is None else since_s
    # Without a stated end the interval of the last event is taken as complete.
    end = None if until_s is None else until_s
    latest = float(at.max()) if end is None else end
    if latest < begin:
        raise BadParameter("until_s", latest, f"not before since_s = {begin:g}")
    edges = _edges(begin, latest, interval_s, zone, civil)
    if end is not None:
        edges = edges[edges <= end]
    if since_s is not None:
        edges = edges[edges >= since_s]
    if edges.size < 2:
        raise EmptySeries(0)
    heavy = None if weights is None else np.asarray(weights, dtype=np.float64)
    values, _ = (
        np.histogram(at[(at >= edges[0]) & (at < edges[-1])], bins=edges)
        if heavy is None
        else np.histogram(
            at[(at >= edges[0]) & (at < edges[-1])],
            bins=edges,
            weights=heavy[(at >= edges[0]) & (at < edges[-1])],
        )
    )
    step = clock.DAY_S if civil else interval_s
    return Series(
        values.astype(np.float64), step, float(edges[0]), zone, civil=civil, holidays=frozenset(holidays)
    )


def _edges(begin: float, latest: float, interval_s: float, zone: str, civil: bool) -> np.ndarray:
    """Interval boundaries from the one at or before `begin` to the first after `latest`."""
    if civil:
        first, last = clock.local_day(np.array([begin, latest]), zone)
        return np.array([clock.midnight(day, zone) for day in range(int(first), int(last) + 2)])
    offset = float(clock.utc_offset(np.array([begin]), zone)[0])
    start = np.floor((begin + offset) / interval_s) * interval_s - offset
    return np.asarray(start + np.arange(int((latest - start) // interval_s) + 2) * interval_s)
