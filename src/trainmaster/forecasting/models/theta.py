"""The Theta method on deseasonalised volumes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainmaster.forecasting import clock, gaps
from trainmaster.forecasting.models.base import check_horizon, log_offset
from trainmaster.forecasting.models.seasons import period_rows, profile, slots
from trainmaster.forecasting.series import Series

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Theta:
    """Theta (Assimakopoulos and Nikolopoulos 2000): the mean of a trend line and exponential smoothing.

    Computed as Hyndman and Billah (2003) showed it to be: simple exponential smoothing with a drift of
    half the slope of the line, here on logs after removing the weekly or daily profile.

    gains    candidate gains; the one with the least squared one-step error on the history is used
    refit_s  how often `rolling` takes profile, slope and gain anew, seconds
    max_rows latest rows used; bounds the time on long histories
    """

    gains: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.75, 0.9, 0.99)
    refit_s: float = clock.DAY_S
    max_rows: int = 20000

    @property
    def name(self) -> str:
        return "theta"

    def forecast(self, history: Series, horizon: int) -> FloatArray:
        check_horizon(horizon)
        history = history.tail(self.max_rows)
        rows = len(history)
        offset = log_offset(history.values)
        logs = np.log(gaps.fill(history) + offset)
        level, season, drift, gain = self._fit(history, logs, logs, horizon)
        steps = np.arange(1, horizon + 1)
        ahead = level[rows, gain] + season[rows:] + drift * (steps - 1 + 1 / self.gains[gain])
        return _bounded(ahead, logs, offset)

    def rolling(self, series: Series, first: int) -> FloatArray:
        out = np.full(max(len(series) - first, 0), np.nan)
        if out.size == 0 or not np.isfinite(series.values[:first]).any():
            return out
        offset = log_offset(series.until(first).values)
        logs = np.log(gaps.fill(series) + offset)
        fresh = logs if series.known is None else np.log(gaps.fill(series.with_values(series.known)) + offset)
        gains = np.array(self.gains)
        every = max(1, round(self.refit_s / series.step_s))
        for low in range(max(first, 1), len(series), every):
            high = min(low + every, len(series))
            begin = max(0, low - self.max_rows)
            head = series.until(low).tail(self.max_rows)
            then = np.append(logs[begin : low - 1], fresh[low - 1])
            level, season, drift, gain = self._fit(head, then, logs[begin:high], high - low)
            rows = slice(low - begin, high - begin)
            latest = level[rows, gain]
            # The row just closed counts as it was known then, which may not be what it became.
            change = fresh[low - 1 : high - 1] - logs[low - 1 : high - 1]
            ahead = latest + gains[gain] * change + season[rows] + drift / gains[gain]
            out[low - first : high - first] = _bounded(ahead, logs[begin:low], offset)
        return out

    def _fit(
        self, head: Series, then: FloatArray, logs: FloatArray, extra: int
    ) -> tuple[FloatArray, FloatArray, float, int]:
        """Levels before every row for every gain, season of every row, drift per row, index of the gain.

        Profile, slope and gain come from `then`, the logs of `head` as they were known; `logs` may run
        `extra` rows further, and the levels follow them.
        """
        rows = len(head)
        slot = slots(head, rows + extra)
        usual = profile(then, slot[:rows], period_rows(head))
        usual = np.concatenate([usual, np.zeros(int(slot.max()) + 1 - usual.size)])
        season = usual[slot]
        plain = logs - season[: logs.size]
        gains = np.array(self.gains)
        level = levels(plain, gains)
        time = np.arange(rows) - (rows - 1) / 2
        spread = float(time @ time)
        seen = then - season[:rows]
        drift = 0.5 * float(time @ seen) / spread if spread > 0 else 0.0
        error = seen[:, None] - level[:rows] - drift / gains
        gain = int(np.argmin((error**2).sum(axis=0)))
        return level, season, drift, gain


def levels(values: FloatArray, gains: FloatArray) -> FloatArray:
    """Simple exponential smoothing for several gains: level before every row and after the last.

    values float64[n], gains float64[g] in (0, 1]; returns float64[n + 1, g], starting at values[0].
    level[i + 1] = level[i] + gain · (values[i] − level[i]), computed a chunk of rows at a time.
    """
    rows = values.size
    out = np.empty((rows + 1, gains.size))
    out[0] = values[0]
    lag = np.arange(CHUNK)[:, None] - np.arange(CHUNK)[None, :]
    for index, gain in enumerate(gains):
        kernel = np.where(lag >= 0, gain * (1.0 - gain) ** np.maximum(lag, 0), 0.0)
        fade = (1.0 - gain) ** np.arange(1, CHUNK + 1)
        carry = values[0]
        for low in range(0, rows, CHUNK):
            part = values[low : low + CHUNK]
            here = kernel[: part.size, : part.size] @ part + fade[: part.size] * carry
            out[low + 1 : low + 1 + part.size, index] = here
            carry = here[-1]
    return out


CHUNK = 64
"""Rows smoothed by one matrix product."""


def _bounded(logs: FloatArray, seen: FloatArray, offset: float) -> FloatArray:
    """Volumes, kept within a factor of ten of what was seen: a drift on logs grows without bound."""
    kept = np.clip(logs, seen.min() - np.log(10), seen.max() + np.log(10))
    found: FloatArray = np.maximum(np.exp(kept) - offset, 0.0)
    return found
