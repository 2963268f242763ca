"""Median of like days, scaled by how the latest row compares with its own like days."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainmaster.forecasting import clock, gaps
from trainmaster.forecasting.errors import TooShort
from trainmaster.forecasting.models.base import check_horizon, log_offset, replay
from trainmaster.forecasting.models.lags import median
from trainmaster.forecasting.models.record import Record
from trainmaster.forecasting.series import Series

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class WeeklyMedian:
    """Median over like days of the same wall-clock window, times (level ratio) ** power.

    weeks   like days in the median; as many as there are, at least one
    powers  candidate powers; the one with the least absolute log error on the past is used
    prior   power while fewer than `trial` past forecasts exist
    trial   past forecasts before the choice is made

    Robust to a single odd week; a level that moves is followed by the ratio. The shape of the power is
    the project's own; ties go to the smaller power.
    """

    weeks: int = 4
    powers: tuple[float, ...] = (0.0, 0.15, 0.3, 0.5, 0.75, 1.0)
    prior: float = 0.3
    trial: int = 28

    @property
    def name(self) -> str:
        return "weekly_median"

    def forecast(self, history: Series, horizon: int) -> FloatArray:
        check_horizon(horizon)
        record = Record.of(history)
        offset = log_offset(history.values)
        begin = record.start + np.arange(len(history) + 1, dtype=np.float64) * record.step
        usual = self._usual(record, begin, offset)
        level = self._level(record.values, usual, offset)
        power = self._power(usual, level, history.values, offset)[-1]
        if not np.isfinite(usual[-1]):
            need = int(7 * clock.DAY_S / record.step) + 1
            raise TooShort(self.name, len(history), need)
        # The level fades back to the median as the horizon grows: a power per step of the power itself.
        ahead = record.end + np.arange(horizon, dtype=np.float64) * record.step
        median_ahead = self._ahead(record, ahead, offset)
        fade = power ** (1.0 + np.arange(horizon, dtype=np.float64) * record.step / clock.DAY_S)
        change = 0.0 if not np.isfinite(level[-1]) else level[-1]
        found: FloatArray = np.maximum(np.exp(median_ahead + fade * change) - offset, 0.0)
        return found

    def rolling(self, series: Series, first: int) -> FloatArray:
        if series.known is not None and series.civil and series.holidays:
            # A holiday's like day may be yesterday, whose total was not final.
            return replay(self, series, first)
        if not np.isfinite(series.values[:first]).any():
            return np.full(max(len(series) - first, 0), np.nan)
        record = Record.of(series)
        offset = log_offset(series.until(first).values)
        begin = record.start + np.arange(len(series), dtype=np.float64) * record.step
        usual = self._usual(record, begin, offset)
        latest = record.values if series.known is None else gaps.fill(series.with_values(series.known))
        level = self._level(latest, usual, offset)[:-1]
        power = self._power(usual, level, series.values, offset)
        change = np.where(np.isfinite(level), level, 0.0)
        found: FloatArray = np.maximum(np.exp(usual + power * change) - offset, 0.0)
        return found[first:]

    def _usual(self, record: Record, begin: FloatArray, offset: float) -> FloatArray:
        """Log of the median like-day volume for windows starting at `begin`; NaN where there is none."""
        back = record.like_days(begin, self.weeks)
        return median(_logs(record, begin, back, offset))

    def _ahead(self, record: Record, begin: FloatArray, offset: float) -> FloatArray:
        """The same for windows further ahead: like days that lie in the record, however far back."""
        more = self.weeks + int(np.ceil((begin[-1] - record.end) / (7 * clock.DAY_S))) + 1
        logs = _logs(record, begin, record.like_days(begin, more), offset)
        rank = np.cumsum(np.isfinite(logs), axis=0)
        logs[rank > self.weeks] = np.nan
        return median(logs)

    def _level(self, values: FloatArray, usual: FloatArray, offset: float) -> FloatArray:
        """Log ratio of the row before each window to its own usual, float64[n + 1]; entry 0 is NaN."""
        ratio = np.log(values + offset) - usual[: values.size]
        return np.concatenate([[np.nan], ratio])

    def _power(self, usual: FloatArray, level: FloatArray, actual: FloatArray, offset: float) -> FloatArray:
        """Power to use for each window, chosen on the windows before it."""
        rows = min(actual.size, level.size)
        error = np.full((len(self.powers), level.size + 1), 0.0)
        target = np.log(np.nan_to_num(actual[:rows]) + offset)
        seen = np.isfinite(actual[:rows]) & np.isfinite(level[:rows]) & np.isfinite(usual[:rows])
        for index, power in enumerate(self.powers):
            miss = np.abs(target - usual[:rows] - power * level[:rows])
            error[index, 1 : rows + 1] = np.where(seen, miss, 0.0)
        past = np.cumsum(error, axis=1)[:, : usual.size]
        tried = np.concatenate([[0], np.cumsum(seen)])[: usual.size]
        best = np.array(self.powers)[np.argmin(past, axis=0)]
        found: FloatArray = np.where(tried >= self.trial, best, self.prior)
        return found


def _logs(record: Record, begin: FloatArray, back: FloatArray, offset: float) -> FloatArray:
    known = np.isfinite(back)
    source = record.days_earlier(begin[None, :], np.where(known, back, 0.0))
    volume = record.window(source, record.step)
    return np.where(known, np.log(np.maximum(volume, 0.0) + offset), np.nan)
