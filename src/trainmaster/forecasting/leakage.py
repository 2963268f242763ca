"""Does a back-test look ahead? Change the future and see whether a forecast moves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from trainmaster.forecasting.errors import LeakFound
from trainmaster.forecasting.models.base import Model
from trainmaster.forecasting.resample import rebuilt
from trainmaster.forecasting.series import Series, rows_ended


def altered_after(series: Series, row: int, factor: float = 1.5) -> Series:
    """The same series with everything unknown at the start of row `row` multiplied by `factor`.

    Unknown are the rows from `row` on and, where there is a finer record, every sample that had not
    ended: rows before `row` that touch such a sample change with it, as they would in truth.
    """
    finer = series.finer
    if finer is None:
        values = np.array(series.values)
        values[row:] *= factor
        return replace(series, values=values)
    ended = rows_ended(finer, float(series.starts(row)))
    values = np.array(finer.values)
    values[ended:] *= factor
    return rebuilt(series, replace(finer, values=values))


def check_causal(model: Model, series: Series, rows: Iterable[int], factor: float = 1.5) -> int:
    """Raises LeakFound if a rolling forecast of one of `rows` depends on what its origin could not know.

    Compares `model.rolling(series, row)[0]` on the series and on `altered_after(series, row, factor)`.
    Returns the number of rows compared (rows without a forecast are passed over). A passed check proves
    nothing about models that react to the future in steps this factor does not reach: use two factors.
    """
    compared = 0
    for row in rows:
        before = float(model.rolling(series, row)[0])
        after = float(model.rolling(altered_after(series, row, factor), row)[0])
        if np.isnan(before) and np.isnan(after):
            continue
        compared += 1
        if not np.isclose(before, after, rtol=1e-9, atol=1e-12):
            raise LeakFound(model.name, row, before, after)
    return compared
