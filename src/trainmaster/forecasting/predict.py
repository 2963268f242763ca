"""The forecast a person asks for: the coming rows, with one-sided bounds on both sides."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainmaster.forecasting.conformal import Conformal, log_ratio
from trainmaster.forecasting.errors import TooShort
from trainmaster.forecasting.models import registry
from trainmaster.forecasting.models.base import Model, check_horizon, log_offset
from trainmaster.forecasting.models.combine import Auto, Choice
from trainmaster.forecasting.series import Series

FloatArray = NDArray[np.float64]

SCORES = 500
"""Past one-step forecasts that the bounds are taken of."""
RECENT = 32768
"""Latest rows read: the models forget older ones anyway, and ten years of five-minute rows cost time."""
ORIGINS = 8
"""Past origins from which forecasts over the whole horizon show how errors grow."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The coming rows.

    model    name of the model used (for "auto": the one it chose);  why: the reason for it
    starts   epoch seconds of each row, float64[horizon]
    point    forecasts;  lower, upper: one-sided bounds, each passed in a share 1 − tau of cases.
             NaN where the history is too short to judge
    past     one-step forecasts of the latest rows of the history, float64[at most SCORES]; NaN where the
             model could not start
    errors   log((actual + offset) / (forecast + offset)) of those, NaN likewise
    growth   spread of errors at each step ahead over that of one step, float64[horizon], from 1 upwards
    """

    model: str
    why: str
    starts: FloatArray
    point: FloatArray
    lower: FloatArray
    upper: FloatArray
    tau: float
    past: FloatArray
    errors: FloatArray
    growth: FloatArray
    offset: float


def predict(
    history: Series, horizon: int = 1, model: Model | str = registry.DEFAULT, tau: float = 0.9
) -> Prediction:
    """Forecast the next `horizon` rows after `history` with bounds at level tau.

    The bound of the first row is adaptive-conformal on past one-step errors; those of later rows widen
    as the errors of past forecasts over the same horizon did. Raises TooShort, UnknownModel,
    MissingExtra, BadParameter.
    """
    check_horizon(horizon)
    history = history.tail(RECENT)
    asked = registry.model(model) if isinstance(model, str) else model
    choice = asked.choice(history) if isinstance(asked, Auto) else Choice(asked, "by request")
    used = choice.model
    point = used.forecast(history, horizon)
    offset = log_offset(history.values)
    first = max(1, len(history) - SCORES)
    past = used.rolling(history, first)
    rule = Conformal(tau)
    scores = log_ratio(history.values[first:], past, offset)
    growth = _growth(used, history, horizon, offset, scores)
    # Never negative: a model that was off to one side throughout still forecasts within its own band.
    rise = np.maximum(rule.offsets(scores)[-1], 0.0) * growth
    fall = np.maximum(rule.offsets(-scores)[-1], 0.0) * growth
    return Prediction(
        model=used.name,
        why=choice.why,
        starts=np.atleast_1d(history.starts(len(history) + np.arange(horizon))),
        point=point,
        lower=np.maximum((point + offset) * np.exp(-fall) - offset, 0.0),
        upper=(point + offset) * np.exp(rise) - offset,
        tau=tau,
        past=past,
        errors=scores,
        growth=growth,
        offset=offset,
    )


def _growth(model: Model, history: Series, horizon: int, offset: float, scores: FloatArray) -> FloatArray:
    """Spread of errors at each step over that of one-step `scores`, never shrinking, float64[horizon]."""
    growth = np.ones(horizon)
    last = len(history) - horizon
    seen = scores[np.isfinite(scores)]
    one_step = float(np.sqrt(np.mean(seen**2))) if seen.size else 0.0
    if horizon == 1 or last < 2 or one_step == 0.0:
        return growth
    origins = np.unique(np.linspace(max(2, last * 2 // 3), last, ORIGINS).astype(np.int64))
    errors = []
    for origin in origins:
        if not np.isfinite(history.values[:origin]).any():
            continue
        try:
            ahead = model.forecast(history.until(int(origin)), horizon)
        except TooShort:
            continue
        errors.append(log_ratio(history.values[origin : origin + horizon], ahead, offset))
    if len(errors) < 3:
        return growth
    table = np.array(errors) ** 2
    count = np.isfinite(table).sum(axis=0).astype(np.float64)
    total = np.nansum(table, axis=0)
    # Neighbouring steps share their origins' errors: eight origins alone are too noisy, step by step.
    kernel = np.ones(min(5, horizon))
    near = np.convolve(total, kernel, "same") / np.maximum(np.convolve(count, kernel, "same"), 1.0)
    growth = np.maximum.accumulate(np.maximum(np.sqrt(near) / one_step, 1.0))
    growth[0] = 1.0
    return growth
