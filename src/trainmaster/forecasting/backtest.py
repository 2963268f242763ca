"""Rolling-origin back-test: one step ahead, on the last third, knowing the past only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainmaster.forecasting import clock, metrics
from trainmaster.forecasting.conformal import Conformal
from trainmaster.forecasting.errors import BadParameter, EmptySeries
from trainmaster.forecasting.models.base import Model, log_offset
from trainmaster.forecasting.series import Series

FloatArray = NDArray[np.float64]

WARM_UP = 500
"""Rows before the test from which the conformal scores start."""


@dataclass(frozen=True, slots=True)
class Backtest:
    """One-step forecasts of rows first..n-1 against what came.

    actual, forecast, upper   float64[n - first]; upper is the one-sided bound at level tau, NaN while
                              too few scores are known
    accuracy                  measures over the test; coverage: share of actuals at or below `upper`
    """

    model: str
    first: int
    actual: FloatArray
    forecast: FloatArray
    upper: FloatArray
    tau: float
    accuracy: metrics.Accuracy
    coverage: float


def last_third(series: Series) -> int:
    """First row of the last third (n // 3 rows, at least one)."""
    return len(series) - max(1, len(series) // 3)


def season_rows(series: Series) -> int:
    """Rows of the season that MASE compares with: a week of daily rows, a day of finer ones, else 1."""
    days = 7.0 if series.step_s >= clock.DAY_S * 0.999 else 1.0
    return max(1, round(days * clock.DAY_S / series.step_s))


def backtest(model: Model, series: Series, first: int | None = None, tau: float = 0.9) -> Backtest:
    """Back-test `model` on rows `first`.. (default: the last third).

    The conformal bound starts from scores of the WARM_UP rows before the test. Raises BadParameter for
    `first` outside 1..n-1, EmptySeries if no test row can be compared.
    """
    start = last_third(series) if first is None else first
    if not 1 <= start < len(series):
        raise BadParameter("first", start, f"from 1 to {len(series) - 1}")
    warm = max(1, start - WARM_UP)
    # Two runs: a model that is trained once is trained on all rows before the test, not before the warm-up.
    tested = model.rolling(series, start)
    forecast = tested
    if warm < start:
        forecast = np.concatenate([model.rolling(series.until(start), warm), tested])
    actual = series.values[warm:]
    offset = log_offset(series.until(start).values)
    # Scores see each row as it was known when it closed; coverage is judged on what it became.
    upper = Conformal(tau).bounds(actual if series.known is None else series.known[warm:], forecast, offset)
    cut = start - warm
    if not np.isfinite(actual[cut:] + forecast[cut:]).any():
        raise EmptySeries(actual[cut:].size)
    scale = metrics.naive_scale(series.values[:start], season_rows(series))
    return Backtest(
        model=model.name,
        first=start,
        actual=actual[cut:],
        forecast=forecast[cut:],
        upper=upper[cut:],
        tau=tau,
        accuracy=metrics.score(actual[cut:], forecast[cut:], scale),
        coverage=metrics.coverage(actual[cut:], upper[cut:]),
    )
