"""The table of log-lags behind the ridge model: columns for any origin, targets, and what was ready when."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trainmaster.forecasting.models.record import Record
from trainmaster.forecasting.series import SLACK, Series

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

WINDOWS = 3
"""Whole windows before the origin that are read beside single samples, where samples are finer."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which lags are read.

    near   last samples: columns `near`
    reach  offsets around the target window, seconds, sorted
    weeks  like days behind the weekly median; 0 for no week columns
    day    whether to read one day back
    """

    near: int
    reach: FloatArray
    weeks: int
    day: bool

    def blocks(self, windows: int) -> IntArray:
        """Block of each column: 0 near, 1 one day back, 2 weeks back."""
        size = self.reach.size
        return np.repeat(np.arange(3), [self.near + windows, size * self.day, 2 * size * (self.weeks > 0)])


@dataclass(frozen=True, slots=True)
class LagTable:
    """Lags and targets of one series, all as log(volume per row + offset).

    record   the finest record there is; holes[i] counts gaps before its row i
    width    length of the forecast window, seconds (a row of the series)
    offset   the constant inside the logarithm
    origins  training origins, axis seconds, float64[m]; lags[m, columns], targets[m];
             ready[m]: the moment each target was fully known
    """

    record: Record
    holes: FloatArray
    width: float
    offset: float
    layout: Layout
    origins: FloatArray
    lags: FloatArray
    targets: FloatArray
    ready: FloatArray

    @classmethod
    def of(cls, series: Series, layout: Layout, offset: float, since: float, until: float) -> LagTable:
        """The table of `series` with training origins in [since, until)."""
        finest = series if series.finer is None or series.civil else series.finer
        record = Record.of(finest)
        holes = np.zeros(len(finest) + 1)
        np.cumsum(np.isnan(finest.values), out=holes[1:])
        width = series.step_s
        # Half-window origins double the training rows where finer samples make them distinct.
        spacing = width / 2 if width > 1.5 * record.step else width
        start = series.axis_start
        low = max(0, int(np.ceil((since - start) / spacing - SLACK)))
        high = int(np.floor((until - start) / spacing - SLACK)) + 1
        empty = np.empty(0)
        bare = cls(record, holes, width, offset, layout, empty, empty, empty, empty)
        origins = start + np.arange(low, max(high, low), dtype=np.float64) * spacing
        ready = record.start + np.ceil((origins + width - record.start) / record.step - SLACK) * record.step
        return cls(
            record, holes, width, offset, layout, origins, bare.at(origins), bare._targets(origins), ready
        )

    @property
    def windows(self) -> int:
        """Number of whole-window columns."""
        return WINDOWS if self.width > 1.5 * self.record.step else 0

    @property
    def base(self) -> int:
        """Column of the latest window, which the model predicts relative to."""
        return self.layout.near if self.windows else 0

    def at(self, origins: FloatArray) -> FloatArray:
        """Lags known at each origin, float64[m, columns]; NaN where the record does not reach back."""
        record, layout = self.record, self.layout
        step = record.step
        ended = self._ended(origins)
        near = ended[:, None] - np.arange(1, layout.near + 1) * step
        parts = [self._log(near, step)]
        if self.windows:
            parts.append(self._log(ended[:, None] - np.arange(1, self.windows + 1) * self.width, self.width))
        if layout.day:
            parts.append(self._shifted(origins, np.ones((1, origins.size)))[0])
        if layout.weeks:
            weekly = self._shifted(origins, record.like_days(origins, layout.weeks))
            parts += [weekly[0], median(weekly)]
        return np.concatenate(parts, axis=1)

    def extended(self, rows: int) -> Path:
        """A copy with room for `rows` more rows, to be appended one by one."""
        values = np.concatenate([self.record.values, np.zeros(rows)])
        total = np.concatenate([self.record.total, np.full(rows, self.record.total[-1])])
        record = replace(self.record, values=values, total=total)
        return Path(replace(self, record=record), values, total)

    def _shifted(self, origins: FloatArray, back: FloatArray) -> FloatArray:
        """Windows `back` days earlier with their neighbours, float64[len(back), m, reach]."""
        known = np.isfinite(back)
        sources = self.record.days_earlier(origins[None, :], np.where(known, back, 0.0))
        begin = np.where(known, sources, np.nan)[:, :, None] + self.layout.reach
        # A window that ends after the last ended sample would be the future.
        begin[begin + self.width > self._ended(origins)[:, None] + SLACK * self.record.step] = np.nan
        return self._log(begin, self.width)

    def _ended(self, origins: FloatArray) -> FloatArray:
        """The moment up to which samples had ended, at each origin."""
        record = self.record
        rows = np.floor((origins - record.start) / record.step + SLACK)
        found: FloatArray = record.start + rows * record.step
        return found

    def _log(self, begin: FloatArray, width: float) -> FloatArray:
        outside = np.isnan(begin)
        volume = self.record.window(np.where(outside, self.record.start, begin), width)
        found: FloatArray = np.log(np.maximum(volume, 0.0) * (self.width / width) + self.offset)
        found[outside] = np.nan
        return found

    def _targets(self, origins: FloatArray) -> FloatArray:
        found = self._log(origins, self.width)
        low = np.clip((origins - self.record.start) / self.record.step, 0, self.holes.size - 1)
        high = np.clip(np.ceil(low + self.width / self.record.step - SLACK), 0, self.holes.size - 1)
        # A target that touches a gap is invented: learn nothing from it.
        gap = self.holes[high.astype(np.int64)] - self.holes[np.floor(low + SLACK).astype(np.int64)]
        found[gap > 0] = np.nan
        return found


@dataclass(frozen=True, slots=True)
class Path:
    """A lag table that grows: forecasts appended as rows, so that later lags can read them."""

    table: LagTable
    values: FloatArray
    total: FloatArray

    def append(self, row: int, value: float) -> None:
        """Write row `row`; rows are appended in order."""
        self.values[row] = value
        self.total[row + 1 :] = self.total[row] + value


def median(stack: FloatArray) -> FloatArray:
    """Median over the first axis, NaN left out; NaN where nothing is left."""
    ordered = np.sort(stack, axis=0)  # NaN sorts last
    count = np.isfinite(stack).sum(axis=0)
    low = np.maximum((count - 1) // 2, 0)[None]
    high = np.minimum(count // 2, stack.shape[0] - 1)[None]
    found: FloatArray = 0.5 * (np.take_along_axis(ordered, low, 0) + np.take_along_axis(ordered, high, 0))[0]
    found[count == 0] = np.nan
    return found


def reach_seconds(reach: tuple[float, ...], width: float, sample: float, civil_day: float) -> FloatArray:
    """Offsets of day and week lags in seconds, without those whose window would end after the origin.

    `reach` is in windows, of at least 20 minutes each: five-minute neighbours say nothing new. Two hours
    are kept clear for changes of the clock.
    """
    unit = max(width, 1200.0)
    offsets = np.array(sorted(reach)) * unit
    limit = civil_day - width - sample - 7200.0
    return offsets[offsets <= limit]
