"""Persistence and seasonal naive: the floors every other model has to beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainmaster.forecasting import clock
from trainmaster.forecasting.errors import TooShort
from trainmaster.forecasting.models.base import check_horizon, replay
from trainmaster.forecasting.models.record import Record
from trainmaster.forecasting.series import Series

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Persistence:
    """Tomorrow is like today: the last observed value, repeated."""

    @property
    def name(self) -> str:
        return "persistence"

    def forecast(self, history: Series, horizon: int) -> FloatArray:
        check_horizon(horizon)
        seen = history.values[np.isfinite(history.values)]
        return np.full(horizon, seen[-1])

    def rolling(self, series: Series, first: int) -> FloatArray:
        values = np.array(series.values if series.known is None else series.known)
        last = np.maximum.accumulate(np.where(np.isfinite(values), np.arange(values.size), -1))
        held = np.where(last >= 0, values[last], np.nan)
        return np.concatenate([[np.nan], held[:-1]])[first:]


@dataclass(frozen=True, slots=True)
class SeasonalNaive:
    """The same wall-clock time one week earlier (one day earlier while there is no week).

    The distance is a week of the clock, not a number of rows, so it holds for spacings that do not
    divide a day, across changes of the clock and over holidays (the last day of the same kind).
    """

    @property
    def name(self) -> str:
        return "seasonal_naive"

    def forecast(self, history: Series, horizon: int) -> FloatArray:
        check_horizon(horizon)
        record = Record.of(history)
        begin = record.end + np.arange(horizon, dtype=np.float64) * record.step
        found = _lookup(record, begin, whole_weeks=1 + int(horizon * record.step // (7 * clock.DAY_S)))
        if np.isnan(found).any():
            raise TooShort(self.name, len(history), int(np.ceil(clock.DAY_S / record.step)) + 1)
        return found

    def rolling(self, series: Series, first: int) -> FloatArray:
        if series.known is not None and series.step_s >= clock.DAY_S / 2:
            return replay(self, series, first)  # a day back may touch the row that was not final
        record = Record.of(series)
        begin = record.start + np.arange(first, len(series), dtype=np.float64) * record.step
        return _lookup(record, begin, whole_weeks=1)


def _lookup(record: Record, begin: FloatArray, whole_weeks: int) -> FloatArray:
    """The nearest day of the same kind that lies in the record, else the nearest day that does."""
    out = np.full(begin.size, np.nan)
    steps = [*record.like_days(begin, whole_weeks), *(np.full(begin.size, float(d)) for d in range(1, 8))]
    for back in steps:
        missing = np.isnan(out) & np.isfinite(back)
        if not missing.any():
            break
        source = record.days_earlier(begin[missing], back[missing])
        out[missing] = record.window(source, record.step)
    return out
