"""Ridge regression on log-lags at true clock distances: the model that does most of the work.

It predicts log(next window) − log(latest window) from three blocks of logs, each against the latest
window: the last samples (as fine as they were recorded), the same time one day earlier, and the same
time of like days in the weeks before, with neighbours on both sides. A block that the history is too
short for is left out. Errors count by Huber's rule with the median error as its bend, because a
holiday must not bend the other days and because absolute, not squared, per cent are what is asked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainmaster.forecasting import clock
from trainmaster.forecasting.errors import TooShort
from trainmaster.forecasting.models.base import check_horizon, log_offset, replay
from trainmaster.forecasting.models.lags import LagTable, Layout, reach_seconds
from trainmaster.forecasting.series import SLACK, Series

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MEMORY_S = 36 * clock.DAY_S
"""History that the longest lag reaches back over: four like days and a holiday in between."""


@dataclass(frozen=True, slots=True)
class Ridge:
    """Ridge on log-lags.

    penalty    L2 penalty on standardised columns, in rows of data; the intercept is free
    near       number of last samples read (7 at most for daily rows)
    reach      neighbours of the day and week lags, in windows of at least 20 minutes
    weeks      like days behind the weekly median
    huber      rounds of Huber reweighting; 0 gives plain least squares
    refit_s    how often `rolling` refits, seconds
    max_rows   most training rows (the latest are kept); bounds time and memory on long histories

    Cost: one fit is O(rows · columns²).
    """

    penalty: float = 0.3
    near: int = 24
    reach: tuple[float, ...] = (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)
    weeks: int = 4
    huber: int = 3
    refit_s: float = clock.DAY_S
    max_rows: int = 16384

    @property
    def name(self) -> str:
        return "ridge"

    def forecast(self, history: Series, horizon: int) -> FloatArray:
        """As in `Model`. Steps after the first feed the forecasts back as if they had been observed."""
        check_horizon(horizon)
        history = history.tail(self.max_rows + int(MEMORY_S / history.step_s) + 1)
        table = self._table(history, log_offset(history.values), 0)
        end = np.array([history.axis_start + len(history) * history.step_s])
        out = np.empty(horizon)
        out[0] = _fit(self, table, float(end[0])).predict(table.at(end))[0]
        if horizon > 1:
            # Past the first step no finer samples exist: go on with a model of whole rows.
            out[1:] = self._onward(history.with_values(history.values), out[0], horizon - 1)
        return out

    def rolling(self, series: Series, first: int) -> FloatArray:
        if series.known is not None and series.civil:
            return replay(self, series, first)  # whole rows only, the last one not final
        out = np.full(max(len(series) - first, 0), np.nan)
        if out.size == 0 or not np.isfinite(series.values[:first]).any():
            return out
        every = max(1, round(self.refit_s / series.step_s))
        table = self._table(series, log_offset(series.until(first).values), first)
        begin = series.axis_start + np.arange(len(series), dtype=np.float64) * series.step_s
        for low in range(max(first, 1), len(series), every):
            high = min(low + every, len(series))
            try:
                fit = _fit(self, table, float(begin[low]))
            except TooShort:
                continue
            out[low - first : high - first] = fit.predict(table.at(begin[low:high]))
        return out

    def _table(self, series: Series, offset: float, first: int) -> LagTable:
        width = series.step_s
        finest = series if series.finer is None or series.civil else series.finer
        daily = width >= clock.DAY_S * (1 - SLACK)
        near = min(self.near, 7) if daily else self.near
        reach = reach_seconds(self.reach, width, finest.step_s, clock.DAY_S)
        if daily:
            reach = np.zeros(1)  # a whole day has no neighbours, and yesterday is among `near`
        weekly = self.weeks if reach.size and width < 3.5 * clock.DAY_S else 0
        layout = Layout(near, reach, weekly, day=bool(reach.size) and not daily)
        begin = series.axis_start
        since = begin + max(0, first - self.max_rows) * width
        return LagTable.of(series, layout, offset, since, begin + len(series) * width)

    def _onward(self, rows: Series, next_value: float, horizon: int) -> FloatArray:
        n = len(rows)
        table = self._table(rows, log_offset(rows.values), 0)
        end = rows.axis_start + n * rows.step_s
        fit = _fit(self, table, end)
        path = table.extended(horizon)
        out = np.empty(horizon)
        for k in range(horizon):
            path.append(n + k, next_value)
            next_value = float(fit.predict(path.table.at(np.array([end + (k + 1) * rows.step_s])))[0])
            out[k] = next_value
        return out


@dataclass(frozen=True, slots=True)
class _Fit:
    """A fitted ridge: log(window) = lag[base] + intercept + (lags[columns] − centre) @ weights."""

    columns: IntArray
    centre: FloatArray
    weights: FloatArray
    intercept: float
    base: int
    offset: float
    low: float
    high: float

    def predict(self, lags: FloatArray) -> FloatArray:
        """Volumes for rows of lags, not negative; the change stays within what training saw."""
        change = self.intercept + (lags[:, self.columns] - self.centre) @ self.weights
        change = np.clip(change, self.low, self.high)
        found: FloatArray = np.maximum(np.exp(lags[:, self.base] + change) - self.offset, 0.0)
        return found


def _fit(model: Ridge, table: LagTable, moment: float) -> _Fit:
    """Fit on everything fully known at `moment` (axis seconds). Raises TooShort."""
    known = (table.ready <= moment + SLACK * table.record.step) & np.isfinite(table.targets)
    known[: max(0, int(np.count_nonzero(known)) - model.max_rows)] &= False
    query = table.at(np.array([moment]))[0]
    blocks = table.layout.blocks(table.windows)
    columns: IntArray = np.empty(0, dtype=np.int64)
    rows = np.zeros(known.size, dtype=np.bool_)
    for block in range(3):
        # The most history-hungry set of blocks that still leaves enough rows to learn from.
        wider = np.flatnonzero(blocks <= block)
        usable = known & np.isfinite(table.lags[:, wider]).all(axis=1)
        if np.isfinite(query[wider]).all() and usable.sum() >= max(12, 2 * wider.size):
            columns, rows = wider, usable
    if columns.size == 0:
        raise TooShort(model.name, int(known.sum()), max(12, 2 * int(np.sum(blocks == 0))) + model.near)
    lags = table.lags[rows]
    change = table.targets[rows] - lags[:, table.base]
    centre, weights, intercept = _solve(lags[:, columns], change, model.penalty, model.huber)
    return _Fit(
        columns,
        centre,
        weights,
        intercept,
        table.base,
        table.offset,
        float(change.min()),
        float(change.max()),
    )


def _solve(x: FloatArray, y: FloatArray, penalty: float, rounds: int) -> tuple[FloatArray, FloatArray, float]:
    """Huber ridge by reweighting: centre[p], weights[p] and intercept.

    They fit y ≈ intercept + (x − centre) @ weights.

    The bend of the Huber loss is the median absolute error of the round before.
    """
    load = np.ones(y.size)
    for turn in range(rounds + 1):
        share = load / load.sum()
        centre = share @ x
        z = x - centre
        heavy = z * share[:, None]
        gram = heavy.T @ z
        scale = np.sqrt(np.maximum(np.diag(gram), 0.0))
        scale[scale < 1e-9] = 1.0
        intercept = float(share @ y)
        system = gram / np.outer(scale, scale) + penalty / load.sum() * np.eye(scale.size)
        weights = np.linalg.solve(system, (heavy.T @ (y - intercept)) / scale) / scale
        if turn == rounds:
            break
        error = np.abs(y - intercept - z @ weights)
        bend = float(np.median(error))
        load = np.minimum(1.0, bend / np.maximum(error, 1e-12)) if bend > 1e-12 else np.ones(y.size)
    return centre, weights, intercept
