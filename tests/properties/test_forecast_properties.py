"""Properties of forecasts, bounds and sizing that hold for any input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from trainmaster.forecasting import Conformal as Bound
from trainmaster.forecasting import Series, count, gaps, group, model, predict
from trainmaster.forecasting.errors import EmptySeries, ForecastError, TooShort
from trainmaster.forecasting.leakage import altered_after
from trainmaster.forecasting.models.nnls import nnls
from trainmaster.forecasting.resample import onto_edges
from trainmaster.forecasting.table import read, to_series
from trainmaster.policies.sizing import Conformal, Lsp, Reactive, SizingLimits, SizingSnapshot, Static
from trainmaster.policies.sizing.backtest import run

FAST = settings(max_examples=40, deadline=None, derandomize=True)
NAMES = ("persistence", "seasonal_naive", "weekly_median", "theta", "smoothing", "ridge", "mean", "auto")

volumes = st.one_of(
    st.integers(0, 50).map(float), st.floats(0, 1e12, allow_nan=False), st.just(float("nan")), st.just(0.0)
)
rows = st.lists(volumes, min_size=1, max_size=120).filter(lambda v: any(x == x for x in v))
steps = st.sampled_from([300.0, 305.2, 3600.0, 86400.0, 604800.0])
zones = st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu"])


@pytest.mark.parametrize("name", NAMES)
@FAST
@given(values=rows, step=steps, zone=zones, horizon=st.integers(1, 5))
def test_forecasts_are_finite_and_not_negative(
    name: str, values: list[float], step: float, zone: str, horizon: int
) -> None:
    series = Series(np.array(values), step, 1.7e9, zone)
    try:
        found = model(name).forecast(series, horizon)
    except TooShort:
        return
    assert found.shape == (horizon,)
    assert np.isfinite(found).all()
    assert (found >= 0).all()


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=12, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), step=steps, cut=st.integers(40, 59), factor=st.sampled_from([0.0, 4.0]))
def test_the_future_never_reaches_a_forecast(
    name: str, seed: int, step: float, cut: int, factor: float
) -> None:
    values = np.random.default_rng(seed).gamma(2.0, 20.0, 60)
    series = Series(values, step, 1.7e9)
    before = model(name).rolling(series, 40)[: cut - 39]
    after = model(name).rolling(altered_after(series, cut, factor), 40)[: cut - 39]
    assert_allclose(before, after, rtol=1e-9)


@FAST
@given(values=rows, step=steps, horizon=st.integers(1, 4), tau=st.sampled_from([0.6, 0.9]))
def test_predictions_never_fail_and_their_bounds_are_not_negative(
    values: list[float], step: float, horizon: int, tau: float
) -> None:
    found = predict(Series(np.array(values), step, 1.7e9), horizon, tau=tau)
    assert np.isfinite(found.point).all()
    assert not (found.lower < 0).any()
    assert not (found.upper < found.lower - 1e-9 * np.abs(found.lower)).any()


@FAST
@given(values=rows)
def test_filling_gaps_keeps_what_is_known(values: list[float]) -> None:
    series = Series(np.array(values))
    filled = gaps.fill(series)
    known = np.isfinite(series.values)
    assert np.isfinite(filled).all()
    assert_array_equal(filled[known], series.values[known])
    assert (filled >= 0).all()


@FAST
@given(moments=st.lists(st.floats(1.6e9, 1.602e9), min_size=1, max_size=80), zone=zones, civil=st.booleans())
def test_counting_loses_no_event_whatever_their_order(moments: list[float], zone: str, civil: bool) -> None:
    series = count(moments, zone=zone, civil=civil)
    assert series.values.sum() == len(moments)
    assert_array_equal(count(moments[::-1], zone=zone, civil=civil).values, series.values)


@FAST
@given(values=st.lists(st.floats(0, 1e6), min_size=4, max_size=60), size=st.integers(1, 4))
def test_grouping_and_cutting_keep_the_total(values: list[float], size: int) -> None:
    series = Series(np.array(values), 60.0)
    grouped = group(series, size)
    edges = grouped.starts(np.arange(len(grouped) + 1))
    assert_allclose(onto_edges(series, edges), grouped.values, rtol=1e-9, atol=1e-6)


@FAST
@given(
    scores=st.lists(st.floats(-3, 3), min_size=20, max_size=200),
    tau=st.sampled_from([0.5, 0.8, 0.95]),
    gain=st.floats(0, 0.2),
)
def test_offsets_are_finite_and_depend_on_the_past_only(scores: list[float], tau: float, gain: float) -> None:
    rule = Bound(tau, gain)
    whole, part = rule.offsets(np.array(scores)), rule.offsets(np.array(scores[:15]))
    assert np.isfinite(whole[rule.trial :]).all()
    assert_array_equal(whole[:16], part)


@FAST
@given(seed=st.integers(0, 10_000), size=st.integers(1, 6))
def test_nnls_meets_the_conditions_of_an_optimum(seed: int, size: int) -> None:
    generator = np.random.default_rng(seed)
    design = generator.standard_normal((15, size))
    gram, moment = design.T @ design + 1e-3 * np.eye(size), generator.standard_normal(size)
    weights = nnls(gram, moment)
    slope = moment - gram @ weights
    assert (weights >= 0).all()
    assert (slope <= 1e-8).all()
    assert_allclose(slope[weights > 0], 0, atol=1e-8)


limits = st.builds(
    lambda low, more, hold, boot: SizingLimits(low, low + more, hold, boot),
    st.integers(0, 5),
    st.integers(0, 40),
    st.integers(1, 4),
    st.sampled_from([0.0, 300.0, 4000.0]),
)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    limit=limits,
    forecast=st.floats(0, 1e4),
    on=st.integers(0, 50),
    booting=st.integers(0, 5),
    draining=st.integers(0, 5),
    drained=st.integers(0, 5),
    backlog=st.floats(0, 1e4),
    kind=st.sampled_from(["static", "reactive", "lsp", "conformal"]),
)
def test_decisions_stay_within_limits_and_never_power_off_a_working_node(
    limit: SizingLimits,
    forecast: float,
    on: int,
    booting: int,
    draining: int,
    drained: int,
    backlog: float,
    kind: str,
) -> None:
    policies = {
        "static": Static(7, limit),
        "reactive": Reactive(limit),
        "lsp": Lsp(limit),
        "conformal": Conformal(limit),
    }
    snapshot = SizingSnapshot(
        interval_s=3600.0,
        forecast=forecast,
        capacity=25.0,
        nodes_on=on,
        nodes_booting=booting,
        nodes_draining=draining,
        nodes_drained=min(drained, draining),
        backlog=backlog,
        arrived=(forecast,),
        completed=forecast,
    )
    decision = policies[kind].decide(snapshot)
    have = on + booting
    assert limit.min_nodes <= max(decision.wanted, limit.min_nodes)
    assert decision.wanted <= max(limit.max_nodes, have)
    assert have + decision.power_on + decision.undrain >= min(decision.wanted, limit.max_nodes)
    assert 0 <= decision.power_off <= snapshot.nodes_drained
    assert decision.undrain + decision.power_off <= draining
    assert 0 <= decision.drain <= on
    assert not (decision.drain and decision.power_on)
    assert decision == policies[kind].decide(snapshot)


@FAST
@given(seed=st.integers(0, 10_000), nodes=st.integers(0, 20))
def test_a_run_serves_every_unit_of_work_once(seed: int, nodes: int) -> None:
    free = SizingLimits(0, 100)
    demand = np.random.default_rng(seed).gamma(2.0, 20.0, 30)
    result = run(Static(nodes, free), demand, demand, 5, 10.0, free, interval_s=3600.0)
    served = float(result.tasks_per_node @ result.nodes)
    assert served <= demand[5:].sum() + 1e-6
    assert 0 <= result.late_percent <= 100 + 1e-9
    enough = bool((demand[5:] <= nodes * 10.0).all())
    assert (result.late_percent == pytest.approx(0, abs=1e-9)) == enough


@settings(max_examples=150, deadline=None, derandomize=True)
@given(text=st.text(alphabet="0123456789-:T, \n.aN+", max_size=120), zone=zones)
def test_any_text_is_a_series_or_a_typed_error(text: str, zone: str) -> None:
    try:
        series = to_series(read(text.splitlines(), zone), zone=zone)
    except ForecastError:
        return
    assert np.isfinite(series.values).any()


def test_only_gaps_is_empty() -> None:
    with pytest.raises(EmptySeries):
        to_series(read(["value", "nan", ""]))
