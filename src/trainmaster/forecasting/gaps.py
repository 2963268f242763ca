"""Gaps in a series, filled from the past only so that a back-test may use the filled values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainmaster.forecasting import clock
from trainmaster.forecasting.series import Series

FloatArray = NDArray[np.float64]

LEVEL_ROWS = 12
"""Rows before a gap that set its level."""


def fill(series: Series) -> FloatArray:
    """Values with every gap replaced, float64[n]; row i depends on rows before i only.

    A gap takes the value of the same wall-clock time a week earlier (else a day earlier), scaled to the
    level of the rows before the gap against theirs of that time. Where there is no such history it
    repeats the last value. Leading gaps take the first value: nothing precedes them.
    """
    values = np.array(series.values)
    holes = np.flatnonzero(np.isnan(values))
    if holes.size == 0:
        return values
    first = int(np.flatnonzero(np.isfinite(values))[0])
    values[:first] = values[first]
    back = [round(days * clock.DAY_S / series.step_s) for days in (7, 1)]
    ratio = 1.0
    lag = 0
    previous = -2
    for hole in holes[holes >= first]:
        row = int(hole)
        if row != previous + 1:  # a new gap: set the level once, by what preceded it
            lag = next((b for b in back if b >= 1 and row - b - LEVEL_ROWS >= first), 0)
            ratio = _level(values, row, lag) if lag else 1.0
        # Inside a gap longer than the lag the source is itself a filled value, scaled already.
        fresh = lag and np.isfinite(series.values[row - lag])
        values[row] = values[row - lag] * (ratio if fresh else 1.0) if lag else values[row - 1]
        previous = row
    return values


def _level(values: FloatArray, row: int, lag: int) -> float:
    now = float(values[row - LEVEL_ROWS : row].sum())
    then = float(values[row - lag - LEVEL_ROWS : row - lag].sum())
    return now / then if then > 0 else 1.0
