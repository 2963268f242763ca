"""One-sided bounds that hold their promised share: adaptive conformal inference on log errors.

A score is log((actual + c) / (forecast + c)); the bound is the forecast times the exponential of a
quantile of recent scores. The level of that quantile is steered by the misses (Gibbs and Candès 2021,
"Adaptive conformal inference under distribution shift", equation 2): after a miss it rises by
gain · tau, after a hit it sinks by gain · (1 − tau). So the long-run share of rows below the bound tends
to tau whatever the series does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainmaster.forecasting.errors import BadParameter

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Conformal:
    """Settings of the adaptive bound.

    tau     promised share of actuals at or below an upper bound, in (0, 1)
    gain    step of the level after each row, at least 0; much above 0.02 the bounds swing without need
    window  recent scores the quantile is taken of
    trial   scores before the first bound
    """

    tau: float = 0.9
    gain: float = 0.02
    window: int = 200
    trial: int = 10

    def __post_init__(self) -> None:
        if not 0.0 < self.tau < 1.0:
            raise BadParameter("tau", self.tau, "between 0 and 1")
        if self.gain < 0:
            raise BadParameter("gain", self.gain, "at least 0")

    def offsets(self, scores: FloatArray) -> FloatArray:
        """Offset to add to each log forecast, float64[n + 1]: entry i uses scores before i only.

        NaN scores (gaps) are passed over; entries are NaN until `trial` scores are known.
        """
        out = np.full(scores.size + 1, np.nan)
        level = self.tau
        seen = np.empty(scores.size)
        count = 0
        for row in range(scores.size + 1):
            if count >= self.trial:
                out[row] = quantile(seen[max(0, count - self.window) : count], level)
            if row == scores.size:
                break
            score = scores[row]
            if not np.isfinite(score):
                continue
            if np.isfinite(out[row]):
                missed = 1.0 if score > out[row] else 0.0
                level += self.gain * (missed - (1.0 - self.tau))
            seen[count] = score
            count += 1
        return out

    def bounds(self, actual: FloatArray, forecast: FloatArray, offset: float, side: int = 1) -> FloatArray:
        """One-sided bound on every row, float64[n + 1 if forecast is one longer than actual, else n].

        side +1 gives upper bounds, −1 lower ones; `offset` is the constant of `models.base.log_offset`.
        A forecast one row longer than the actuals gets a bound on the row to come.
        """
        rows = actual.size
        scores = side * log_ratio(actual, forecast[:rows], offset)
        shift = side * self.offsets(scores)[: forecast.size]
        found: FloatArray = np.maximum((forecast + offset) * np.exp(shift) - offset, 0.0)
        return found


def log_ratio(actual: FloatArray, forecast: FloatArray, offset: float) -> FloatArray:
    """Scores log((actual + c) / (forecast + c)); NaN where either is missing."""
    found: FloatArray = np.log(actual + offset) - np.log(np.maximum(forecast, 0.0) + offset)
    return found


def quantile(scores: FloatArray, level: float) -> float:
    """Conformal quantile: the ⌈level · (n + 1)⌉-th smallest score, kept within what was seen.

    A level of 1 or more asks for more than was ever seen: the largest score plus the distance from the
    median to it, a finite stand-in for infinity. A level of 0 or less gives the smallest score.
    """
    ordered = np.sort(scores)
    rank = int(np.ceil(level * (ordered.size + 1))) - 1
    if level >= 1.0:
        return float(2 * ordered[-1] - ordered[ordered.size // 2])
    return float(ordered[min(max(rank, 0), ordered.size - 1)])
