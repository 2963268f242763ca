"""A running day forecast anew: what has come so far plus what is likely still to come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainmaster.forecasting import clock
from trainmaster.forecasting.errors import BadParameter, TooShort
from trainmaster.forecasting.models.lags import median
from trainmaster.forecasting.models.record import Record
from trainmaster.forecasting.series import Series

FloatArray = NDArray[np.float64]

POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)
PRIOR = 0.75
TRIAL = 28
"""Past days before the power is chosen on them; until then it is PRIOR."""


@dataclass(frozen=True, slots=True)
class Intraday:
    """Forecast of one local day while it runs.

    day     local day number (see `clock`);  known_s: axis moment up to which samples had ended
    so_far  total of the day up to known_s;  rest: forecast from there to midnight;  total: their sum
    power   how far the rest follows the day so far: rest = usual rest · (so far / usual so far) ** power
    """

    day: int
    known_s: float
    so_far: float
    rest: float
    power: float

    @property
    def total(self) -> float:
        return self.so_far + self.rest


def reforecast(history: Series, now_s: float | None = None, weeks: int = 4) -> Intraday:
    """Forecast the local day in which `history` ends, from its samples so far and like days before.

    history  a series with rows well under a day, up to the last sample that has ended
    now_s    the present, epoch seconds; default: the end of `history`. It decides which day is meant
             when the first sample of a new day is still running
    weeks    like days (same weekday; holidays count as Sundays) whose median is the usual day

    At midnight sharp the coming day is forecast as its usual volume scaled by yesterday's ratio.
    Raises BadParameter for rows of half a day or more, TooShort without a complete like day.
    """
    if history.civil or history.step_s > clock.DAY_S / 2:
        raise BadParameter("step_s", history.step_s, "below half a day")
    record = Record.of(history)
    known = history.end_s
    now = max(known, known if now_s is None else now_s)
    day = int(clock.local_day(np.array([now]), history.zone)[0])
    days = np.arange(int(clock.local_day(np.array([record.start]), history.zone)[0]), day + 1)
    begin = np.array([clock.midnight(int(d), history.zone) for d in days])
    end = np.append(begin[1:], clock.midnight(day + 1, history.zone))
    # The share of the day that has passed, at the same wall-clock time on every day.
    cut = np.minimum(record.days_earlier(np.full(days.size, known), (day - days).astype(np.float64)), end)
    cut = np.maximum(cut, begin)
    so_far = _between(record, begin, cut)
    rest = _between(record, cut, end)
    back = record.like_days(begin + 1.0, weeks)
    usual_so_far, usual_rest = _usual(so_far, back), _usual(rest, back)
    fresh = known - begin[-1] < history.step_s
    if fresh:
        # Nothing of the day is known yet: follow yesterday as a whole.
        whole = so_far + rest
        ratio = np.concatenate([[np.nan], (whole / _usual(whole, back))[:-1]])
    else:
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(usual_so_far > 0, so_far / usual_so_far, 1.0)
    if not np.isfinite(usual_rest[-1]):
        raise TooShort("intraday", len(history), int(np.ceil(8 * clock.DAY_S / history.step_s)))
    power = _power(rest[:-1], usual_rest[:-1], ratio[:-1])
    follow = ratio[-1] if np.isfinite(ratio[-1]) and ratio[-1] > 0 else 1.0
    return Intraday(
        day=day,
        known_s=known,
        so_far=float(so_far[-1]) if np.isfinite(so_far[-1]) else 0.0,
        rest=float(usual_rest[-1] * follow**power),
        power=power,
    )


def _between(record: Record, begin: FloatArray, end: FloatArray) -> FloatArray:
    """Totals over [begin, end); NaN where that leaves the record."""
    width = end - begin
    out = np.full(begin.size, np.nan)
    for index in range(begin.size):  # widths differ on days of 23 and 25 hours
        out[index] = record.window(begin[index : index + 1], float(width[index]))[0]
    return out


def _usual(values: FloatArray, back: FloatArray) -> FloatArray:
    """Median of the values of like days, float64[days]; NaN where there is none."""
    place = np.arange(values.size) - np.nan_to_num(back, nan=values.size * 2.0).astype(np.int64)
    return median(np.where(place >= 0, values[np.maximum(place, 0)], np.nan))


def _power(actual: FloatArray, usual: FloatArray, ratio: FloatArray) -> float:
    """The power with the least absolute log error on past days; PRIOR while they are few.

    Ties, such as a past without any change of level, go to the power nearest PRIOR.
    """
    seen = (
        np.isfinite(actual)
        & np.isfinite(usual)
        & np.isfinite(ratio)
        & (actual > 0)
        & (usual > 0)
        & (ratio > 0)
    )
    if int(seen.sum()) < TRIAL:
        return PRIOR
    target, change = np.log(actual[seen] / usual[seen]), np.log(ratio[seen])
    error = [float(np.abs(target - p * change).mean()) + 1e-9 * abs(p - PRIOR) for p in POWERS]
    return POWERS[int(np.argmin(error))]
