"""The slot of the day or week a row falls in, and the usual (log) volume of each slot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainmaster.forecasting import clock
from trainmaster.forecasting.series import SLACK, Series

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def slots(series: Series, rows: int) -> IntArray:
    """Slot of each of the first `rows` rows (rows past the end continue the grid), int64[rows].

    Daily rows have 7 slots, one per kind of day. Finer rows have one per kind of day and time of day
    once two weeks are there, one per time of day once two days are there, else a single slot.
    Rows longer than a day have a single slot. Slots follow the wall clock, so spacings that divide no
    day still fall into the right one.
    """
    at = series.axis_start + np.arange(rows, dtype=np.float64) * series.step_s
    span = len(series) * series.step_s
    per_day = max(1, round(clock.DAY_S / series.step_s))
    if series.step_s > clock.DAY_S * 1.01 or span < 2 * clock.DAY_S:
        return np.zeros(rows, dtype=np.int64)
    day = clock.local_day(at, series.axis_zone)
    local = at + clock.utc_offset(at, series.axis_zone) - day * clock.DAY_S
    time = np.minimum((local / clock.DAY_S * per_day + SLACK).astype(np.int64), per_day - 1)
    if span < 14 * clock.DAY_S:
        return np.zeros(rows, dtype=np.int64) if per_day == 1 else time
    found: IntArray = clock.day_kinds(day, series.holidays) * per_day + time
    return found


def profile(logs: FloatArray, slot: IntArray, period: int) -> FloatArray:
    """Usual deviation of each slot from the level around it, float64[max slot + 1], mean zero.

    logs    log volumes, gap-free; slot[i] of row i; period: rows of the moving level (a week or a day)

    Classical decomposition: a centred moving mean gives the level, the mean deviation per slot the
    profile. Slots never seen get 0.
    """
    if period < 2 or logs.size < 2 * period:
        return np.zeros(int(slot.max()) + 1)
    total = np.concatenate([[0.0], np.cumsum(logs)])
    half = period // 2
    middle = np.arange(half, logs.size - (period - half) + 1)
    level = (total[middle - half + period] - total[middle - half]) / period
    deviation = logs[middle] - level
    size = int(slot.max()) + 1
    count = np.bincount(slot[middle], minlength=size)
    mean = np.bincount(slot[middle], weights=deviation, minlength=size) / np.maximum(count, 1)
    seen = count > 0
    mean[seen] -= mean[seen].mean()
    mean[~seen] = 0.0
    return mean


def period_rows(series: Series) -> int:
    """Rows of the longest season the history shows twice: a week, a day, or 1 for none."""
    for days in (7.0, 1.0):
        rows = round(days * clock.DAY_S / series.step_s)
        if rows >= 2 and len(series) >= 2 * rows:
            return rows
    return 1
