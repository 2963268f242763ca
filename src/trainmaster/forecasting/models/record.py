"""The past as models read it: totals of any window, at any clock distance."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trainmaster.forecasting import clock, gaps
from trainmaster.forecasting.resample import total_at
from trainmaster.forecasting.series import SLACK, Series

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Record:
    """Gap-free running total of a series on its axis (epoch seconds; local seconds for civil days).

    total    float64[n + 1], total of rows before row i, gaps filled from their past
    values   float64[n], the filled rows
    """

    total: FloatArray
    values: FloatArray
    start: float
    step: float
    zone: str
    holidays: frozenset[date]

    @classmethod
    def of(cls, series: Series) -> Record:
        """The record of one series (its finer record is ignored)."""
        values = gaps.fill(series)
        total = np.zeros(values.size + 1)
        np.cumsum(values, out=total[1:])
        return cls(total, values, series.axis_start, series.step_s, series.axis_zone, series.holidays)

    @property
    def end(self) -> float:
        """Axis time at which the last row ends."""
        return self.start + self.values.size * self.step

    def window(self, begin: FloatArray, width: float) -> FloatArray:
        """Total over [begin, begin + width), linear within rows; NaN where it leaves the record."""
        low = (begin - self.start) / self.step
        high = low + width / self.step
        found = total_at(self.total, high) - total_at(self.total, low)
        found[~((low >= -SLACK) & (high <= self.values.size + SLACK))] = np.nan
        return found

    def days_earlier(self, begin: FloatArray, days: ArrayLike) -> FloatArray:
        """The same wall-clock time `days` earlier."""
        return clock.days_earlier(begin, np.asarray(days, dtype=np.float64), self.zone)

    def like_days(self, begin: FloatArray, count: int) -> FloatArray:
        """Days back to the last `count` days of the same kind, float64[count, len(begin)]."""
        days = clock.local_day(begin, self.zone)
        if not self.holidays:
            return clock.like_days_back(days, count)
        oldest = int(clock.local_day(np.array([self.start]), self.zone)[0])
        return clock.like_days_back(days, count, self.holidays, oldest)
