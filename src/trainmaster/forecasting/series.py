"""A time series with its clock, its gaps and, where there is one, its finer record."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trainmaster.forecasting import clock
from trainmaster.forecasting.errors import BadParameter, EmptySeries, NegativeValue, NotFinite

FloatArray = NDArray[np.float64]

SLACK = 1e-6
"""Fractions of a row below which two moments are the same: spacings such as 305.2197 s are not exact."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Totals over consecutive, equally long intervals.

    values    float64[n], not negative; NaN marks a gap; row i covers [start + i·step, start + (i+1)·step)
    step_s    length of a row, seconds, not necessarily a whole number
    start_s   epoch seconds of the start of row 0
    zone      IANA zone whose wall clock people follow (days, weekdays, holidays)
    civil     rows are calendar days of `zone`, 23 to 25 hours long; step_s is then 86 400
    holidays  local dates that count as Sundays
    finer     the same quantity at a finer step, if it was recorded; models may look inside
    known     float64[n]: row i as known the moment it closed; None if that is `values`. It differs where
              rows cut through samples of `finer`: a sample still running is not known yet

    Raises EmptySeries (no finite value), NegativeValue, NotFinite (infinite), BadParameter (step).
    """

    values: FloatArray
    step_s: float = 3600.0
    start_s: float = 0.0
    zone: str = "UTC"
    civil: bool = False
    holidays: frozenset[date] = frozenset()
    finer: Series | None = None
    known: FloatArray | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64, ndmin=1)
        if values.ndim != 1:
            raise BadParameter("values", values.shape, "one-dimensional")
        infinite = np.flatnonzero(np.isinf(values))
        if infinite.size:
            raise NotFinite(int(infinite[0]), float(values[infinite[0]]))
        below = np.flatnonzero(values < 0)
        if below.size:
            raise NegativeValue(int(below[0]), float(values[below[0]]))
        if not np.isfinite(values).any():
            raise EmptySeries(values.size)
        if not (np.isfinite(self.step_s) and self.step_s > 0):
            raise BadParameter("step_s", self.step_s, "a positive number of seconds")
        clock.zone_named(self.zone)
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    def __len__(self) -> int:
        return int(self.values.size)

    @property
    def axis_start(self) -> float:
        """Start of row 0 on the axis the lags live on: local seconds for civil days, else epoch seconds."""
        if not self.civil:
            return self.start_s
        return float(clock.local_day(np.array([self.start_s]), self.zone)[0]) * clock.DAY_S

    @property
    def axis_zone(self) -> str:
        """Zone to use with the axis: civil days are local already."""
        return "UTC" if self.civil else self.zone

    def starts(self, rows: ArrayLike) -> FloatArray:
        """Epoch seconds at which the given rows start; rows past the end continue the grid."""
        index = np.asarray(rows, dtype=np.int64)
        if not self.civil:
            return np.asarray(self.start_s + index * self.step_s, dtype=np.float64)
        first = int(clock.local_day(np.array([self.start_s]), self.zone)[0])
        return np.array([clock.midnight(first + int(i), self.zone) for i in np.ravel(index)]).reshape(
            index.shape
        )

    @property
    def end_s(self) -> float:
        """Epoch seconds at which the last row ends."""
        return float(self.starts(len(self)))

    def until(self, row: int) -> Series:
        """What was known when row `row` began: the one cut that back-tests rely on.

        Keeps rows 0..row-1, the last of them as known at that moment, and the finer samples that had
        ended. Raises EmptySeries if nothing finite is left.
        """
        if not 0 < row <= len(self):
            raise BadParameter("row", row, f"from 1 to {len(self)}")
        values = np.array(self.values[:row])
        if self.known is not None:
            values[-1] = self.known[row - 1]
        finer = self.finer
        if finer is not None:
            ended = min(rows_ended(finer, float(self.starts(row))), len(finer))
            # A finer record without a value so far says nothing.
            finer = finer.until(ended) if np.isfinite(finer.values[:ended]).any() else None
        return replace(self, values=values, finer=finer, known=None)

    def tail(self, rows: int) -> Series:
        """The last `rows` rows (all of them if there are fewer)."""
        cut = len(self) - rows
        if cut <= 0:
            return self
        finer = self.finer
        start = float(self.starts(cut))
        if finer is not None:
            skip = max(int(np.floor((start - finer.start_s) / finer.step_s + SLACK)), 0)
            finer = finer.tail(len(finer) - skip) if np.isfinite(finer.values[skip:]).any() else None
        known = None if self.known is None else self.known[cut:]
        return replace(self, values=self.values[cut:], start_s=start, finer=finer, known=known)

    def with_values(self, values: ArrayLike) -> Series:
        """The same clock with other values; finer record and first-known values are dropped."""
        return replace(self, values=np.asarray(values, dtype=np.float64), finer=None, known=None)

    def days(self) -> NDArray[np.int64]:
        """Local calendar day number at the start of each row, int64[n]."""
        at = self.axis_start + np.arange(len(self), dtype=np.float64) * self.step_s
        return clock.local_day(at, self.axis_zone)


def rows_ended(series: Series, moment_s: float) -> int:
    """How many rows of a (not civil) series have ended by a moment."""
    return max(0, int(np.floor((moment_s - series.start_s) / series.step_s + SLACK)))


def group(series: Series, rows: int) -> Series:
    """Sums of `rows` consecutive rows, carrying `series` as the finer record.

    A rest at the end that fills no group is left to the finer record only. A group with a gap is a gap.
    """
    if rows < 1:
        raise BadParameter("rows", rows, "at least 1")
    count = len(series) // rows
    if count == 0:
        raise EmptySeries(0)
    values = series.values[: count * rows].reshape(count, rows).sum(axis=1)
    return replace(series, values=values, step_s=series.step_s * rows, finer=series, known=None)
