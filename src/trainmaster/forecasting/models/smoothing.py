"""Exponential smoothing of log volumes with a seasonal term, several gains at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trainmaster.forecasting import clock, gaps
from trainmaster.forecasting.models.base import check_horizon, log_offset, volumes
from trainmaster.forecasting.models.seasons import period_rows, profile, slots
from trainmaster.forecasting.series import Series

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Smoothing:
    """Holt-Winters without trend, on logs (multiplicative seasons); the gains are chosen on the past.

    levels   candidate gains of the level; seasons: of the seasonal term
    refit    `rolling` takes the seasonal profile anew every day (every week for rows under half an hour)
    memory   rows after which an old error counts half in the choice between gains
    max_rows latest rows used; bounds the time on long histories

    Every pair of gains runs through the series side by side; each forecast uses the pair with the
    least discounted absolute error so far (ties: the smaller gains). Cost O(rows).
    """

    levels: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4, 0.7, 0.95)
    seasons: tuple[float, ...] = (0.0, 0.1, 0.3)
    memory: float = 200.0
    max_rows: int = 8064

    @property
    def name(self) -> str:
        return "smoothing"

    def forecast(self, history: Series, horizon: int) -> FloatArray:
        check_horizon(horizon)
        history = history.tail(self.max_rows)
        return self._run(history, len(history), horizon, log_offset(history.values))[0]

    def rolling(self, series: Series, first: int) -> FloatArray:
        out = np.full(max(len(series) - first, 0), np.nan)
        if out.size == 0 or not np.isfinite(series.values[:first]).any():
            return out
        offset = log_offset(series.until(first).values)
        every = max(1, round((1 if series.step_s >= 1800 else 7) * clock.DAY_S / series.step_s))
        for low in range(max(first, 1), len(series), every):
            high = min(low + every, len(series))
            begin = max(0, low - self.max_rows)
            part = series if high == len(series) else series.until(high)
            if series.known is not None:
                part = replace(part, values=series.values[:high], known=series.known[:high])
            _, one_step = self._run(part.tail(high - begin), low - begin, 1, offset)
            out[low - first : high - first] = one_step[low - begin :]
        return out

    def _run(self, series: Series, start: int, horizon: int, offset: float) -> tuple[FloatArray, FloatArray]:
        """Forecasts after the last row, and the one-step forecast of every row from `start` on.

        The seasonal term starts from the profile of the rows before `start`.
        """
        rows = len(series)
        logs = np.log(gaps.fill(series) + offset)
        fresh = logs if series.known is None else np.log(gaps.fill(series.with_values(series.known)) + offset)
        seen = np.isfinite(series.values)
        head = series if start >= rows else series.until(start)
        slot = slots(head, rows + horizon)
        then = np.append(logs[: start - 1], fresh[start - 1])
        usual = profile(then, slot[:start], period_rows(head))
        usual = np.concatenate([usual, np.zeros(int(slot.max()) + 1 - usual.size)])
        alpha = np.repeat(np.array(self.levels), len(self.seasons))
        gamma = np.tile(np.array(self.seasons), len(self.levels))
        season = np.repeat(usual[:, None], alpha.size, axis=1)
        level = np.full(alpha.size, logs[0] - usual[slot[0]])
        loss = np.zeros(alpha.size)
        keep = 0.5 ** (1.0 / self.memory)
        one_step = np.empty(rows)
        catch_up = 0.0
        for row in range(rows):
            term = season[slot[row]]
            expected = level + term
            if series.known is None or row == 0:
                best = int(np.argmin(loss))
            # The row just closed counts as it was known then, which may not be what it became.
            one_step[row] = expected[best] + alpha[best] * catch_up
            catch_up = fresh[row] - logs[row]
            if series.known is not None:
                best = int(np.argmin(loss))  # before the final value of this row enters the loss
            if not seen[row]:
                continue
            error = logs[row] - expected
            loss = keep * loss + np.abs(error)
            level = level + alpha * error
            term += gamma * (1.0 - alpha) * error
        best = int(np.argmin(loss))
        ahead = level[best] + season[slot[rows : rows + horizon], best]
        return volumes(ahead, offset), volumes(one_step, offset)
