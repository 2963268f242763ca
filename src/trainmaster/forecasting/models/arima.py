"""The long-term half of LSP: ARIMA on the previous weeks (needs statsmodels)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainmaster.forecasting import clock, gaps
from trainmaster.forecasting.errors import MissingExtra, TooShort
from trainmaster.forecasting.models.base import check_horizon, log_offset, replay, volumes
from trainmaster.forecasting.models.lags import median
from trainmaster.forecasting.models.record import Record
from trainmaster.forecasting.series import Series

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Arima:
    """ARIMA on logs (RLPTO, section IV.A, equation 1: "ARIMA(x_before)", "the data of the previous weeks").

    The paper fixes no order and no season. `season` is how we read "previous weeks":
      "none"  the plain history: ARIMA of log volume
      "week"  log volume less that of the like day a week before, by the clock
      "auto"  "week" for rows of an hour and more with three weeks of history, else "none": below an hour
              the difference doubles the noise that dominates

    order       (p, d, q); None: (2, 1, 2) for "none", (2, 0, 1) for "week"
    refit_rows  how often `rolling` estimates anew; None estimates once, on the rows before the first forecast

    Raises MissingExtra without statsmodels, TooShort below 20 rows.
    """

    season: str = "auto"
    order: tuple[int, int, int] | None = None
    refit_rows: int | None = None
    max_rows: int = 10000

    @property
    def name(self) -> str:
        return "arima"

    def forecast(self, history: Series, horizon: int) -> FloatArray:
        check_horizon(horizon)
        history = history.tail(self.max_rows)
        offset = log_offset(history.values)
        logs = np.log(gaps.fill(history) + offset)
        weekly = self._weekly(history, len(history))
        usual = (
            _last_week(history, len(history) + horizon, offset)
            if weekly
            else np.zeros(len(history) + horizon)
        )
        change = logs - usual[: logs.size]
        start = int(np.isnan(change).sum())
        ahead = np.asarray(self._estimate(change[start:], weekly).forecast(horizon))
        return volumes(usual[logs.size :] + ahead, offset)

    def rolling(self, series: Series, first: int) -> FloatArray:
        if series.known is not None:
            return replay(self, series, first)
        out = np.full(max(len(series) - first, 0), np.nan)
        if out.size == 0 or not np.isfinite(series.values[:first]).any():
            return out
        offset = log_offset(series.until(first).values)
        logs = np.log(gaps.fill(series) + offset)
        every = self.refit_rows or len(series)
        for low in range(max(first, 1), len(series), every):
            high = min(low + every, len(series))
            weekly = self._weekly(series, low)
            usual = _last_week(series, len(series), offset) if weekly else np.zeros(len(series))
            change = logs - usual
            start = max(int(np.isnan(change).sum()), low - self.max_rows)
            try:
                fit = self._estimate(change[start:low], weekly)
            except TooShort:
                continue
            # The estimated coefficients, run as a filter over the rows that follow.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                one_step = np.asarray(fit.apply(change[start:high]).fittedvalues)
            out[low - first : high - first] = volumes(usual[low:high] + one_step[low - start :], offset)
        return out

    def _weekly(self, series: Series, rows: int) -> bool:
        if self.season != "auto":
            return self.season == "week"
        return series.step_s >= 3600.0 and rows * series.step_s >= 21 * clock.DAY_S

    def _estimate(self, values: FloatArray, weekly: bool) -> Any:
        if values.size < 20:
            raise TooShort(self.name, values.size, 20)
        try:
            from statsmodels.tsa.arima.model import ARIMA
        except ImportError as error:
            raise MissingExtra("arima", "statsmodels") from error
        order = self.order or ((2, 0, 1) if weekly else (2, 1, 2))
        with warnings.catch_warnings():
            # Start values outside the stationary region and slow convergence are reported as warnings;
            # the filter is valid with the coefficients found.
            warnings.simplefilter("ignore")
            trend = "c" if weekly and order[1] == 0 else "n"
            return ARIMA(values, order=order, trend=trend).fit(method_kwargs={"maxiter": 60})


def _last_week(series: Series, rows: int, offset: float) -> FloatArray:
    """Log volume of the last like day, float64[rows]; rows past the end look as many weeks back as needed."""
    record = Record.of(series)
    begin = record.start + np.arange(rows, dtype=np.float64) * record.step
    weeks = 1 + max(0, int((rows - len(series)) * series.step_s // (7 * clock.DAY_S)) + 1)
    out = np.full(rows, np.nan)
    for back in record.like_days(begin, weeks):
        empty = np.isnan(out) & np.isfinite(back)
        source = record.days_earlier(begin[empty], back[empty])
        inside = source + record.step <= record.end + 1e-6
        volume = np.where(inside, record.window(source, record.step), np.nan)
        out[empty] = np.log(np.maximum(volume, 0.0) + offset)
    found: FloatArray = median(out[None])
    return found
