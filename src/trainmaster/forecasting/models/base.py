"""What every forecasting model offers, and the slow obvious back-test they are measured against."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trainmaster.forecasting.errors import BadParameter, TooShort
from trainmaster.forecasting.series import Series

FloatArray = NDArray[np.float64]


class Model(Protocol):
    """A forecasting model: stateless, deterministic, the same answer for the same history.

    `name` is unique within a comparison.
    """

    @property
    def name(self) -> str: ...

    def forecast(self, history: Series, horizon: int) -> FloatArray:
        """The next `horizon` rows after `history`, float64[horizon], not negative and finite.

        Raises TooShort where the model cannot start, BadParameter for horizon < 1.
        """

    def rolling(self, series: Series, first: int) -> FloatArray:
        """One-step forecasts of rows first..n-1, float64[n - first].

        The forecast of row i uses only `series.until(i)`. NaN where the model cannot start yet. A model
        may refit less often than at every row; it never looks ahead.
        """


def replay(model: Model, series: Series, first: int) -> FloatArray:
    """`rolling` the slow way: cut, fit, forecast, for every row. Any model is causal this way."""
    out = np.full(max(len(series) - first, 0), np.nan)
    for row in range(max(first, 1), len(series)):
        if not np.isfinite(series.values[:row]).any():
            continue
        try:
            out[row - first] = model.forecast(series.until(row), 1)[0]
        except TooShort:
            continue
    return out


def check_horizon(horizon: int) -> None:
    """Raises BadParameter for a horizon below one row."""
    if horizon < 1:
        raise BadParameter("horizon", horizon, "at least 1 row")


def log_offset(values: FloatArray) -> float:
    """The constant c of log(x + c): 1 for whole numbers (counts), else a hundredth of the mean.

    It keeps zeros finite. For counts it is the usual log(1 + x); for large volumes it vanishes.
    """
    seen = values[np.isfinite(values)]
    if seen.size == 0 or bool(np.all(seen == np.floor(seen))):
        return 1.0
    return max(0.01 * float(seen.mean()), 1e-12)


def volumes(logs: FloatArray, offset: float) -> FloatArray:
    """Back from log(x + offset) to volumes, finite and not negative."""
    found: FloatArray = np.maximum(np.exp(np.minimum(logs, 700.0)) - offset, 0.0)
    return found
