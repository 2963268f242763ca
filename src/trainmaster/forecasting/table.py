"""Rows of a table (CSV) as a Series: timestamps read, ordered, laid on a grid, gaps left as gaps."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainmaster.forecasting import clock, events
from trainmaster.forecasting.errors import (
    BadParameter,
    BadRow,
    DuplicateTimestamp,
    EmptySeries,
    IrregularSpacing,
)
from trainmaster.forecasting.series import Series

FloatArray = NDArray[np.float64]
Join = Literal["error", "sum", "mean", "last"]

MISSING = frozenset({"", "na", "nan", "null", "none", "-"})
GRID = 1e-3
"""Distance from the grid, in rows, that a timestamp may have: clocks are written to the second."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of a file. stamps: epoch seconds per row, or None if the rows only count; values likewise."""

    stamps: FloatArray | None
    values: FloatArray | None
    has_offset: bool = False


def read(lines: Iterable[str], zone: str = "UTC", *, moments: bool = False) -> Table:
    """Read a table: a header line (optional), then `timestamp,value`, `index,value`, `value` or `timestamp`.

    A single column of numbers holds values, or with `moments` epoch seconds of events.

    Timestamps are ISO 8601 or epoch seconds; without an offset they are read on the wall clock of
    `zone`, and where the clock is turned back the second showing of the same time means the later
    moment. Blank, NA and NaN values are gaps. Raises BadRow, EmptySeries, UnknownZone.
    """
    numbered = enumerate(csv.reader(lines), 1)
    rows = [(number, row) for number, row in numbered if any(cell.strip() for cell in row)]
    if rows and not _readable(rows[0][1]):
        rows = rows[1:]
    if not rows:
        raise EmptySeries(0)
    width = len(rows[0][1])
    for number, row in rows:
        if len(row) != width:
            raise BadRow(number, ",".join(row), f"{width} columns as in the first row")
    if width == 1 and not moments and _is_value(rows[0][1][0]):
        return Table(None, np.array([_value(number, row[0]) for number, row in rows]))
    values = np.array([_value(number, row[1]) for number, row in rows]) if width > 1 else None
    if width > 1 and _is_index(rows):
        return Table(None, values)
    stamps, offset = _stamps([(number, row[0]) for number, row in rows], zone)
    return Table(stamps, values, offset)


def to_series(
    table: Table,
    *,
    zone: str = "UTC",
    step_s: float | None = None,
    start_s: float = 0.0,
    duplicates: Join = "error",
    holidays: frozenset[date] = frozenset(),
) -> Series:
    """The table on a regular grid.

    Rows are put in order of time. The spacing is the (lower) median one unless `step_s` gives it; rows
    missing from the grid are gaps. Rows at local midnights of `zone` are calendar days. Without times the
    rows follow one another from `start_s` at `step_s` (default: an hour). Without values every timestamp
    is one event, counted per `step_s`.

    Raises DuplicateTimestamp (unless `duplicates` says how to join), IrregularSpacing, EmptySeries and
    the errors of Series.
    """
    if table.stamps is None:
        if table.values is None:
            raise EmptySeries(0)
        return Series(table.values, step_s or 3600.0, start_s, zone, holidays=holidays)
    if table.values is None:
        return events.count(table.stamps, step_s or 3600.0, zone=zone, holidays=holidays)
    order = np.argsort(table.stamps, kind="stable")
    stamps, values = _joined(table.stamps[order], table.values[order], order, duplicates)
    if stamps.size == 1:
        return Series(values, step_s or 3600.0, float(stamps[0]), zone, holidays=holidays)
    local = stamps + clock.utc_offset(stamps, zone)
    days = np.round(local / clock.DAY_S)
    if step_s in (None, clock.DAY_S) and np.all(np.abs(local - days * clock.DAY_S) < 1.0):
        return _daily(days.astype(np.int64), values, zone, holidays)
    gaps = np.sort(np.diff(stamps))
    step = float(gaps[(gaps.size - 1) // 2]) if step_s is None else step_s
    if step_s is None:
        step = _refined(stamps, step)
    place = (stamps - stamps[0]) / step
    row = np.round(place)
    off = np.flatnonzero(np.abs(place - row) > max(GRID, 1.0 / step))
    if off.size:
        first = int(off[0])
        raise IrregularSpacing(int(order[first]), float(stamps[first] - stamps[first - 1]), step)
    return _placed(row.astype(np.int64), values, step, float(stamps[0]), zone, holidays)


def _refined(stamps: FloatArray, step: float) -> float:
    """A spacing such as 305.22 s, written to the second, from the whole span."""
    rows = np.round((stamps - stamps[0]) / step)
    drift = np.abs((stamps - stamps[0]) - rows * step)
    if np.all(drift < 1e-6 * step) or rows[-1] < 1:
        return step
    # The count of rows is only sure while the drift stays below half a row: stretch it in doublings.
    reach = 8
    while True:
        head = stamps[: min(reach, stamps.size)]
        count = float(np.round((head[-1] - head[0]) / step))
        if count >= 1 and np.all(np.diff(head) < 1.5 * step):
            found = float((head[-1] - head[0]) / count)
            # Rounding to the second explains at most a second; anything more is another grid.
            step = found if abs(found - step) <= 1.0 else step
        if reach >= stamps.size:
            return step
        reach *= 2


def _placed(
    rows: NDArray[np.int64],
    values: FloatArray,
    step: float,
    start: float,
    zone: str,
    holidays: frozenset[date],
    civil: bool = False,
) -> Series:
    size = int(rows[-1]) + 1
    if size > 50 * values.size + 1000:
        raise IrregularSpacing(int(np.argmax(np.diff(rows))) + 1, float(np.diff(rows).max() * step), step)
    grid = np.full(size, np.nan)
    grid[rows] = values
    return Series(grid, step, start, zone, civil=civil, holidays=holidays)


def _daily(days: NDArray[np.int64], values: FloatArray, zone: str, holidays: frozenset[date]) -> Series:
    start = clock.midnight(int(days[0]), zone)
    return _placed(days - days[0], values, clock.DAY_S, start, zone, holidays, civil=True)


def _joined(
    stamps: FloatArray, values: FloatArray, order: NDArray[np.int64], how: Join
) -> tuple[FloatArray, FloatArray]:
    repeat = np.flatnonzero(np.diff(stamps) == 0)
    if repeat.size == 0:
        return stamps, values
    if how == "error":
        moment = datetime.fromtimestamp(float(stamps[repeat[0]]), UTC)
        raise DuplicateTimestamp(int(order[repeat[0] + 1]), moment.isoformat())
    if how not in ("sum", "mean", "last"):
        raise BadParameter("duplicates", how, "one of error, sum, mean, last")
    unique, index = np.unique(stamps, return_inverse=True)
    known = np.isfinite(values)
    number = np.bincount(index, weights=known)
    if how == "last":
        out = np.full(unique.size, np.nan)
        out[index] = values  # later rows overwrite earlier ones
        return unique, out
    total = np.bincount(index, weights=np.where(known, values, 0.0))
    out = total / np.maximum(number, 1) if how == "mean" else total
    return unique, np.where(number > 0, out, np.nan)


def _stamps(cells: Sequence[tuple[int, str]], zone: str) -> tuple[FloatArray, bool]:
    """Epoch seconds of the cells, and whether any carried its own offset."""
    place = clock.zone_named(zone)
    out = np.empty(len(cells))
    offset = False
    shown: dict[datetime, int] = {}
    for index, (number, cell) in enumerate(cells):
        text = cell.strip()
        plain = _number(text)
        if plain is not None:
            out[index] = plain
            continue
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise BadRow(number, text, "an ISO 8601 time or epoch seconds") from error
        if moment.tzinfo is None:
            local = moment.replace(tzinfo=place)
            if local.utcoffset() != local.replace(fold=1).utcoffset():
                # The clock was turned back here: the second showing of a time is the later moment.
                shown[moment] = shown.get(moment, 0) + 1
                local = local.replace(fold=1 if shown[moment] == 2 else 0)
            moment = local
        else:
            offset = True
        out[index] = moment.timestamp()
    if not np.isfinite(out).all():
        bad = int(np.flatnonzero(~np.isfinite(out))[0])
        raise BadRow(cells[bad][0], cells[bad][1], "a finite time")
    return out, offset


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _is_value(cell: str) -> bool:
    return cell.strip().lower() in MISSING or _number(cell) is not None


def _value(number: int, cell: str) -> float:
    text = cell.strip()
    if text.lower() in MISSING:
        return float("nan")
    found = _number(text)
    if found is None:
        raise BadRow(number, text, "a number, or blank for a gap")
    return found


def _readable(row: Sequence[str]) -> bool:
    """Whether a row is data rather than a header."""
    if _is_value(row[-1]):
        return True
    try:
        datetime.fromisoformat(row[0].strip())
    except ValueError:
        return False
    return len(row) == 1


def _is_index(rows: Sequence[tuple[int, Sequence[str]]]) -> bool:
    """Whether the first column merely counts rows: 0, 1, 2 … or 1, 2, 3 …"""
    first = _number(rows[0][1][0])
    last = _number(rows[-1][1][0])
    if first is None or last is None or first not in (0.0, 1.0):
        return False
    return last - first == len(rows) - 1
