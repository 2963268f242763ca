"""From what a service remembers of its volume to a forecast and the nodes it calls for: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from trainmaster.domain.sizing import Coming, Fit, Grid, Outlook, Past, SizingKnobs, Standing, Worked
from trainmaster.forecasting.clock import DAY_S
from trainmaster.forecasting.conformal import Conformal
from trainmaster.forecasting.events import count
from trainmaster.forecasting.metrics import coverage, score
from trainmaster.forecasting.models.registry import model as named
from trainmaster.forecasting.predict import Prediction, predict
from trainmaster.forecasting.series import Series
from trainmaster.policies.sizing.build import build
from trainmaster.policies.sizing.capacity import measure
from trainmaster.policies.sizing.snapshot import SizingLimits, SizingMemory, SizingSnapshot


def series_of(slots: Mapping[int, int], slot_s: float, since_s: float, now: float, grid: Grid) -> Series:
    """Closed intervals from counts by slot ⌊submitted / slot_s⌋; a slot must not cross an interval's edge.

    Raises EmptySeries while no interval has closed since `since_s`.
    """
    keys = sorted(slots)
    return count(
        (np.array(keys, dtype=np.float64) + 0.5) * slot_s,
        grid.interval_s,
        zone=grid.zone,
        civil=grid.interval_s == DAY_S,
        since_s=since_s,
        until_s=now,
        weights=[slots[key] for key in keys],
        holidays=grid.holidays,
    )


def look(
    series: Series,
    worked: tuple[Worked, ...],
    now_standing: Standing,
    knobs: SizingKnobs,
    grid: Grid,
    memory: SizingMemory,
    at: float,
) -> Outlook:
    """The forecast after `series`, and the decision for the row that has just begun.

    worked   what ended in the latest closed rows, oldest first
    memory   of the decision before

    Waiting and running tasks count as backlog: by the mean, a task that runs still needs as long as a new
    one. Without a measured capacity nothing is recommended, except by `static`. Raises ForecastError,
    BadSizing, UnknownPolicy.
    """
    lead = int(grid.boot_s // grid.interval_s)
    prediction = predict(series, max(grid.horizon, lead + 1), grid.model, grid.level)
    capacity = measure(worked, now_standing.mean, grid.lane_depth).per_node(grid.interval_s)
    fit = _fit(series, prediction)
    history = _history(series, prediction)
    next_at = float(series.starts(len(series) + 1))
    coming = _coming(prediction, [None] * prediction.point.size)
    if not now_standing.total:
        return Outlook(at, next_at, history, coming, fit, capacity, reason="no node is there to be sized")
    if capacity is None and knobs.policy != "static":
        return Outlook(
            at, next_at, history, coming, fit,
            reason="no task has ended yet, so nobody knows what a node can do: all nodes stay on",
            memory=(memory.wants, memory.per_node),
        )  # fmt: skip
    most = now_standing.total if knobs.max_nodes is None else min(knobs.max_nodes, now_standing.total)
    limits = SizingLimits(min(knobs.min_nodes, most), most, knobs.hold, grid.boot_s)
    snapshot = SizingSnapshot(
        interval_s=grid.interval_s,
        forecast=float(prediction.point[lead]),
        capacity=capacity or 1.0,
        nodes_on=len(now_standing.on),
        errors=_errors(prediction, lead),
        offset=prediction.offset,
        arrived=tuple(series.values[np.isfinite(series.values)][-336:].tolist()),
        completed=float(worked[-1].tasks) if worked else 0.0,
        backlog=float(now_standing.waiting + now_standing.running),
        nodes_draining=len(now_standing.asleep),
        nodes_drained=len(now_standing.empty),
        memory=memory,
    )
    decision = build(knobs, limits).decide(snapshot)
    # What the policy would want for each row to come, were there no backlog and nothing to wait for.
    calm = build(knobs, replace(limits, hold=1, boot_s=0.0))
    plan: list[int | None] = []
    for row in range(prediction.point.size):
        ahead = replace(
            snapshot, forecast=float(prediction.point[row]), errors=_errors(prediction, row), backlog=0.0,
            nodes_on=0, nodes_draining=0, nodes_drained=0, memory=SizingMemory(per_node=memory.per_node),
        )  # fmt: skip
        plan.append(calm.decide(ahead).wanted)
    return Outlook(
        at,
        next_at,
        history,
        _coming(prediction, plan),
        fit,
        capacity,
        wanted=decision.wanted,
        wake=decision.undrain + decision.power_on,
        drain=decision.drain,
        reason=decision.reason,
        memory=(decision.memory.wants, decision.memory.per_node),
    )


def _errors(prediction: Prediction, row: int) -> tuple[float, ...]:
    """Past one-step errors, spread as errors that many rows ahead are."""
    known = prediction.errors[np.isfinite(prediction.errors)]
    return tuple((known * prediction.growth[row]).tolist())


def _fit(series: Series, prediction: Prediction) -> Fit:
    rows = prediction.past.size
    actual = series.values[len(series) - rows :]
    both = np.isfinite(actual) & np.isfinite(prediction.past)
    if not both.any():
        return Fit(prediction.model, prediction.why, 0, None, None, None)
    floor = named("persistence").rolling(series, len(series) - rows)
    upper = Conformal(prediction.tau).bounds(actual, prediction.past, prediction.offset)
    return Fit(
        prediction.model,
        prediction.why,
        int(both.sum()),
        _plain(score(actual, prediction.past).wmape),
        _plain(score(actual[both], floor[both]).wmape) if np.isfinite(floor[both]).any() else None,
        _plain(coverage(actual, upper)),
    )


def _history(series: Series, prediction: Prediction) -> tuple[Past, ...]:
    starts = np.atleast_1d(series.starts(np.arange(len(series))))
    past = np.full(len(series), np.nan)
    past[len(series) - prediction.past.size :] = prediction.past
    return tuple(
        Past(float(t), float(v), _plain(p)) for t, v, p in zip(starts, series.values, past, strict=True)
    )


def _coming(prediction: Prediction, nodes: list[int | None]) -> tuple[Coming, ...]:
    rows = zip(prediction.starts, prediction.point, prediction.lower, prediction.upper, nodes, strict=True)
    return tuple(Coming(float(t), float(p), _plain(a), _plain(b), n) for t, p, a, b, n in rows)


def _plain(number: float) -> float | None:
    return float(number) if np.isfinite(number) else None
