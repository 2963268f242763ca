"""Series on another grid: clock hours from odd samples, calendar days from hours, without leaks.

A sampler that runs a little slow (305.2 s instead of 300 s) drifts through the day, so that a "day" of
288 samples is no day. The cure is to place samples where they truly are and to cut their running total
at clock boundaries. The trap: a boundary falls inside a sample that ends later. The value of a row is
then final only some minutes after the row closed. `Series.known` keeps what was knowable at closing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from trainmaster.forecasting import clock
from trainmaster.forecasting.errors import BadParameter, EmptySeries
from trainmaster.forecasting.series import SLACK, Series, rows_ended

FloatArray = NDArray[np.float64]


def running_total(series: Series) -> FloatArray:
    """Total of all rows before row i, float64[n + 1]; gaps count as zero."""
    total = np.zeros(len(series) + 1)
    np.cumsum(np.nan_to_num(series.values), out=total[1:])
    return total


def total_at(total: FloatArray, position: FloatArray) -> FloatArray:
    """A running total at fractional rows, linear within a row; outside the rows it stays level."""
    place = np.clip(position, 0.0, float(total.size - 1))
    low = np.minimum(place.astype(np.int64), total.size - 2)
    part = place - low
    found: FloatArray = total[low] + part * (total[low + 1] - total[low])
    return found


def onto_edges(series: Series, edges: FloatArray) -> FloatArray:
    """Totals between consecutive edges (epoch seconds), NaN where a gap or the outside is touched."""
    position = (edges - series.start_s) / series.step_s
    whole = np.round(position)
    position = np.where(np.abs(position - whole) < SLACK, whole, position)  # keep aligned sums exact
    inside = (position >= -SLACK) & (position <= len(series) + SLACK)
    totals = np.diff(total_at(running_total(series), position))
    holes = np.zeros(len(series) + 1)
    np.cumsum(np.isnan(series.values), out=holes[1:])
    touched = np.diff(total_at(holes, position)) > SLACK
    totals[touched | ~inside[:-1] | ~inside[1:]] = np.nan
    return totals


def on_clock(series: Series, step_s: float, *, civil: bool = False) -> Series:
    """The series on full clock intervals of its zone, with itself as the finer record.

    step_s is a divisor of a day no finer than the series; `civil` gives calendar days (step_s 86 400).
    Only intervals that the series covers whole are kept. Raises EmptySeries if there is none,
    BadParameter for a step that does not divide a day or is finer than the series.
    """
    if civil:
        step_s = clock.DAY_S
    if step_s < series.step_s * (1 - SLACK) or abs(clock.DAY_S / step_s - round(clock.DAY_S / step_s)) > 1e-9:
        raise BadParameter("step_s", step_s, f"a divisor of 86400 of at least {series.step_s:g}")
    if civil:
        first = int(clock.local_day(np.array([series.start_s]), series.zone)[0])
        last = int(clock.local_day(np.array([series.end_s]), series.zone)[0])
        edges = np.array([clock.midnight(day, series.zone) for day in range(first, last + 1)])
        edges = edges[edges >= series.start_s - SLACK * series.step_s]
    else:
        offset = float(clock.utc_offset(np.array([series.start_s]), series.zone)[0])
        begin = np.ceil((series.start_s + offset) / step_s - SLACK) * step_s - offset
        edges = begin + np.arange(int(np.floor((series.end_s - begin) / step_s + SLACK)) + 1) * step_s
    if edges.size < 2:
        raise EmptySeries(0)
    values = onto_edges(series, edges)
    return replace(
        series,
        values=values,
        step_s=step_s,
        start_s=float(edges[0]),
        civil=civil,
        finer=series,
        known=_known_at_close(series, edges, values),
    )


def _known_at_close(series: Series, edges: FloatArray, values: FloatArray) -> FloatArray:
    """Each row as known when it closed: the ended samples, stretched over the rest of the row."""
    total = running_total(series)
    known = np.array(values)
    for row in range(values.size):
        ended = rows_ended(series, float(edges[row + 1]))
        begin = (edges[row] - series.start_s) / series.step_s
        close = (edges[row + 1] - series.start_s) / series.step_s
        if np.isnan(values[row]) or close - ended < SLACK or ended <= begin:
            continue
        seen = total[ended] - float(total_at(total, np.array([begin]))[0])
        known[row] = seen * (close - begin) / (ended - begin)
    return known


def rebuilt(series: Series, finer: Series) -> Series:
    """`series` with its rows and first-known rows computed anew from another finer record."""
    edges = np.atleast_1d(series.starts(np.arange(len(series) + 1)))
    values = onto_edges(finer, edges)
    known = None if series.known is None else _known_at_close(finer, edges, values)
    return replace(series, values=values, finer=finer, known=known)
