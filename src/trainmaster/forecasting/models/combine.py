"""Several models as one: their mean, their online non-negative stack, and the choice among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainmaster.forecasting.errors import TooShort
from trainmaster.forecasting.models.base import Model, check_horizon, log_offset
from trainmaster.forecasting.models.nnls import nnls
from trainmaster.forecasting.series import Series

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def matrix(members: tuple[Model, ...], series: Series, first: int) -> FloatArray:
    """Rolling one-step forecasts of every member, float64[members, n - first]."""
    return np.array([member.rolling(series, first) for member in members])


def mean_of(table: FloatArray) -> FloatArray:
    """Mean over the members that have a forecast, float64[rows]; NaN where none has one."""
    count = np.isfinite(table).sum(axis=0)
    total = np.nansum(table, axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def unsettled(series: Series) -> int:
    """How many of the latest rows are not final when the next one is forecast: 0 or 1."""
    return 0 if series.known is None else 1


def stack_weights(
    table: FloatArray, actual: FloatArray, memory: float, prior: float, lag: int = 0
) -> FloatArray:
    """Weights of each member before each row, float64[rows + 1, members], from the rows before it.

    With lag 1 the latest of these rows is left out (see `unsettled`).

    Least squares of actual/mean on forecast/mean (so that relative errors count), non-negative, old rows
    halving in weight every `memory` rows, drawn towards equal weights as if `prior` rows had said so.
    """
    members, rows = table.shape
    centre = mean_of(table)
    equal = np.full(members, 1.0 / members)
    # The prior's strength is in rows: one row contributes about 1 to each diagonal element.
    gram = prior * np.eye(members)
    moment = prior * equal
    base_gram, base_moment = gram.copy(), moment.copy()
    keep = 0.5 ** (1.0 / memory)
    out = np.empty((rows + 1, members))
    weights = equal
    out[: lag + 1] = equal
    for row in range(rows):
        out[row + lag] = weights
        if not (np.isfinite(actual[row]) and np.isfinite(centre[row]) and centre[row] > 0):
            continue
        relative = np.where(np.isfinite(table[:, row]), table[:, row], centre[row]) / centre[row]
        gram = base_gram + keep * (gram - base_gram) + np.outer(relative, relative)
        moment = base_moment + keep * (moment - base_moment) + relative * (actual[row] / centre[row])
        weights = nnls(gram, moment)
    if not lag:
        out[rows] = weights
    return out


def choices(
    candidates: FloatArray,
    default: FloatArray,
    actual: FloatArray,
    offset: float,
    margin: float,
    window: int,
    lag: int = 0,
) -> IntArray:
    """Which candidate to use before each row, int64[rows + 1]: −1 for the default, else its index.

    A candidate replaces the default only if, over the last `window` rows, its mean absolute log error is
    lower by more than `margin` standard errors of the paired difference; the largest gain wins (ties:
    the first). With lag 1 the latest row is left out (see `unsettled`). Single models chosen on a
    handful of rows lose to their mean: noise picks them.
    """
    count, rows = candidates.shape
    with np.errstate(invalid="ignore"):
        target = np.log(actual + offset)
        usual = np.abs(target - np.log(np.maximum(default, 0.0) + offset))
        gain = usual - np.abs(target - np.log(np.maximum(candidates, 0.0) + offset))
    seen = np.isfinite(gain)
    gain = np.where(seen, gain, 0.0)

    def windowed(values: FloatArray) -> FloatArray:
        total = np.concatenate([np.zeros((count, 1)), np.cumsum(values, axis=1)], axis=1)
        start = np.maximum(np.arange(rows + 1) - window, 0)
        found: FloatArray = total - total[:, start]
        return found

    number = windowed(seen.astype(np.float64))
    enough = np.maximum(number, 2.0)
    mean = windowed(gain) / enough
    variance = np.maximum(windowed(gain**2) / enough - mean**2, 0.0) * enough / (enough - 1.0)
    clear = (number >= MIN_TRIAL) & (mean > margin * np.sqrt(variance / enough)) & (mean > 1e-12)
    best = np.argmax(np.where(clear, mean, -np.inf), axis=0)
    found: IntArray = np.where(clear.any(axis=0), best, -1)
    return np.concatenate([np.full(lag, -1), found[: found.size - lag]])


MIN_TRIAL = 28
"""Compared rows before a single model may replace the mean."""


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of its members: hard to beat on short series."""

    members: tuple[Model, ...]

    @property
    def name(self) -> str:
        return "mean"

    def forecast(self, history: Series, horizon: int) -> FloatArray:
        check_horizon(horizon)
        return mean_of(_forecasts(self.name, self.members, history, horizon))

    def rolling(self, series: Series, first: int) -> FloatArray:
        return mean_of(matrix(self.members, series, first))


@dataclass(frozen=True, slots=True)
class Stack:
    """Online non-negative stacking of its members.

    memory  rows after which a past row counts half;  prior  rows that equal weights are worth
    trial   past rows that the weights are learned from before the first forecast
    """

    members: tuple[Model, ...]
    memory: float = 500.0
    prior: float = 10.0
    trial: int = 1000

    @property
    def name(self) -> str:
        return "stack"

    def forecast(self, history: Series, horizon: int) -> FloatArray:
        check_horizon(horizon)
        ahead = _forecasts(self.name, self.members, history, horizon)
        first = max(1, len(history) - self.trial)
        past = matrix(self.members, history, first)
        weights = stack_weights(past, history.values[first:], self.memory, self.prior)[-1]
        return _weighted(ahead, weights[:, None])

    def rolling(self, series: Series, first: int) -> FloatArray:
        start = max(1, first - self.trial)
        table = matrix(self.members, series, start)
        return self.from_matrix(table, series.values[start:], unsettled(series))[max(first, 1) - start :]

    def from_matrix(self, table: FloatArray, actual: FloatArray, lag: int) -> FloatArray:
        """The stack's one-step forecasts from those of its members, float64[rows]."""
        weights = stack_weights(table, actual, self.memory, self.prior, lag)[:-1]
        return _weighted(table, weights.T)


@dataclass(frozen=True, slots=True)
class Choice:
    """A model, and in one sentence why it was chosen."""

    model: Model
    why: str


def compared_errors(table: FloatArray, actual: FloatArray, offset: float) -> tuple[int, FloatArray]:
    """Rows for which every line of `table` has a forecast, and mean |log error| of each, float64[lines]."""
    with np.errstate(invalid="ignore"):
        gaps = np.abs(np.log(actual + offset) - np.log(np.maximum(table, 0.0) + offset))
    common = np.isfinite(gaps).all(axis=0)
    rows = int(common.sum())
    return rows, gaps[:, common].mean(axis=1) if rows else np.full(table.shape[0], np.nan)


def _share(error: float) -> str:
    return f"{100 * np.expm1(error):.3g} %"


@dataclass(frozen=True, slots=True)
class Auto:
    """The default: the mean of its members unless one of them, or their stack, is clearly better.

    members  models averaged;  floors  simple models that may be chosen but are not averaged
    margin   standard errors by which a candidate must lead (see `choices`): 2.5 is one chance in twenty,
             one-sided, shared among the seven candidates
    window   past rows compared

    The choice is a rolling-origin back-test on the past only: at every origin of `rolling` it is made
    anew from the forecasts and actuals before it.
    """

    members: tuple[Model, ...]
    floors: tuple[Model, ...] = ()
    margin: float = 2.5
    window: int = 1000

    @property
    def name(self) -> str:
        return "auto"

    def forecast(self, history: Series, horizon: int) -> FloatArray:
        check_horizon(horizon)
        return self.chosen(history).forecast(history, horizon)

    def chosen(self, history: Series) -> Model:
        """The model `forecast` would use."""
        return self.choice(history).model

    def choice(self, history: Series) -> Choice:
        """The model `forecast` would use, and why."""
        first = max(1, len(history) - self.window)
        candidates, default, actual = self._compared(history, first)
        offset = log_offset(history.values)
        index = int(choices(candidates, default, actual, offset, self.margin, self.window)[-1])
        if index >= 0:
            # Only these two: a model that needs more history than there is has no row to compare.
            rows, errors = compared_errors(np.stack([default, candidates[index]]), actual, offset)
            told = f"an error of {_share(errors[1])} against {_share(errors[0])} over {rows} rows"
            why = f"clearly better than the mean of all: {told}" if rows else "the only one that could start"
            return Choice(self._candidates()[index], why)
        if not np.isfinite(default).any() and self.floors:
            return Choice(self.floors[0], "too little history for any other model")
        mean = Mean(self.members)
        able = np.flatnonzero(np.isfinite(candidates).any(axis=1))
        rows, errors = compared_errors(np.concatenate([default[None], candidates[able]]), actual, offset)
        if not rows:
            return Choice(mean, "too little history to compare the models")
        best = int(np.argmin(errors[1:]))
        told = f"{self._candidates()[able[best]].name} had an error of {_share(errors[best + 1])}"
        against = f"against {_share(errors[0])} over {rows} rows"
        return Choice(mean, f"no single model is clearly better than the mean: at best {told} {against}")

    def rolling(self, series: Series, first: int) -> FloatArray:
        out = np.full(max(len(series) - first, 0), np.nan)
        if out.size == 0 or not np.isfinite(series.values[:first]).any():
            return out
        start = max(1, first - self.window)
        candidates, default, actual = self._compared(series, start)
        offset = log_offset(series.until(first).values)
        picked = choices(candidates, default, actual, offset, self.margin, self.window, unsettled(series))[
            :-1
        ]
        columns = np.arange(default.size)
        found = np.where(picked >= 0, candidates[np.maximum(picked, 0), columns], default)
        # Where the chosen has nothing to say, the simplest that has: the floors come last.
        for fallback in (default, *candidates[::-1]):
            found = np.where(np.isfinite(found), found, fallback)
        return found[first - start :]

    def _candidates(self) -> tuple[Model, ...]:
        return (*self.members, Stack(self.members), *self.floors)

    def _compared(self, series: Series, start: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Rolling forecasts of the candidates, of the mean, and the actuals, from row `start`."""
        table = matrix(self.members, series, start)
        actual = series.values[start:]
        stacked = Stack(self.members).from_matrix(table, actual, unsettled(series))
        floors = matrix(self.floors, series, start) if self.floors else np.empty((0, actual.size))
        return np.concatenate([table, stacked[None], floors]), mean_of(table), actual


def _forecasts(name: str, members: tuple[Model, ...], history: Series, horizon: int) -> FloatArray:
    """Forecasts of all members, float64[members, horizon]; NaN rows for those that cannot start."""
    rows = []
    needed: list[int] = []
    for member in members:
        try:
            rows.append(member.forecast(history, horizon))
        except TooShort as error:
            needed.append(error.need)
            rows.append(np.full(horizon, np.nan))
    if len(needed) == len(members):
        raise TooShort(name, len(history), min(needed))
    return np.array(rows)


def _weighted(table: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted sum of members, the mean standing in for a member without a forecast."""
    centre = mean_of(table)
    filled = np.where(np.isfinite(table), table, centre)
    found: FloatArray = np.maximum((weights * filled).sum(axis=0), 0.0)
    return found
