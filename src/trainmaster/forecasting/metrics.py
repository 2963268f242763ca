"""Accuracy of forecasts. Rows without a finite actual or forecast are left out of every measure."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from trainmaster.forecasting.errors import EmptySeries

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Measures of one set of forecasts; those in per cent are 0..100.

    rows      rows compared
    mape      mean |error| / actual, per cent; rows with actual 0 are left out; NaN if all are 0.
              It explodes near zero: for counts read wmape and mase
    accuracy  100 − mape, what the RLPTO paper most likely means by accuracy (section VII.B.1)
    smape     mean 2 |error| / (|actual| + |forecast|), per cent; 0 where both are 0
    wmape     sum |error| / sum actual, per cent
    mase      mean |error| / mean |error| of the seasonal naive forecast before the test
    r2        1 − squared error / variance around the mean of the test; NaN for constant actuals
    """

    rows: int
    mape: float
    accuracy: float
    smape: float
    wmape: float
    mase: float
    r2: float

    def as_dict(self) -> dict[str, float]:
        """Field names and values, for JSON."""
        return asdict(self)


def score(actual: FloatArray, forecast: FloatArray, scale: float = float("nan")) -> Accuracy:
    """Accuracy of `forecast` against `actual`, float64[n] each; `scale` is MASE's denominator.

    Raises EmptySeries if no row holds both numbers.
    """
    both = np.isfinite(actual) & np.isfinite(forecast)
    if not both.any():
        raise EmptySeries(actual.size)
    y, p = actual[both], forecast[both]
    error = np.abs(p - y)
    positive = y > 0
    mape = 100.0 * float(np.mean(error[positive] / y[positive])) if positive.any() else float("nan")
    size = np.abs(y) + np.abs(p)
    smape = 100.0 * float(np.mean(np.divide(2 * error, size, out=np.zeros_like(size), where=size > 0)))
    total = float(y.sum())
    spread = float(np.sum((y - y.mean()) ** 2))
    return Accuracy(
        rows=int(y.size),
        mape=mape,
        accuracy=100.0 - mape,
        smape=smape,
        wmape=100.0 * float(error.sum()) / total if total > 0 else float("nan"),
        mase=float(error.mean()) / scale if scale > 0 else float("nan"),
        r2=1.0 - float(np.sum((y - p) ** 2)) / spread if spread > 0 else float("nan"),
    )


def naive_scale(values: FloatArray, season_rows: int) -> float:
    """Mean absolute change over one season in the training values: the denominator of MASE.

    Uses a season of 1 where the values are too short. NaN if nothing can be compared.
    """
    lag = season_rows if 0 < season_rows < values.size else 1
    change = np.abs(values[lag:] - values[:-lag])
    change = change[np.isfinite(change)]
    return float(change.mean()) if change.size else float("nan")


def coverage(actual: FloatArray, upper: FloatArray) -> float:
    """Share of rows at or below a one-sided upper bound, 0..1; NaN without rows."""
    both = np.isfinite(actual) & np.isfinite(upper)
    return float(np.mean(actual[both] <= upper[both])) if both.any() else float("nan")


def pinball(actual: FloatArray, upper: FloatArray, tau: float) -> float:
    """Mean quantile loss at level tau, in units of the series (smaller is better)."""
    both = np.isfinite(actual) & np.isfinite(upper)
    gap = actual[both] - upper[both]
    return float(np.mean(np.maximum(tau * gap, (tau - 1) * gap)))
