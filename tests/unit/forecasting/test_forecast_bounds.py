"""Bounds, bands, back-tests, measures, gaps and the running day."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from demand_series import weekly
from numpy.testing import assert_allclose, assert_array_equal

from trainmaster.forecasting import (
    Conformal,
    Series,
    backtest,
    gaps,
    last_third,
    metrics,
    model,
    predict,
    reforecast,
)
from trainmaster.forecasting.conformal import quantile
from trainmaster.forecasting.errors import BadParameter, EmptySeries, TooShort


@pytest.mark.parametrize("tau", [0.8, 0.9, 0.95])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_bounds_cover_what_they_promise_even_after_a_shift(tau: float, shift: float) -> None:
    generator = np.random.default_rng(3)
    spread = np.where(np.arange(4000) < 2000, 0.1, 0.3)
    actual = 100 * np.exp(spread * generator.standard_normal(4000) + shift * (np.arange(4000) > 3000))
    upper = Conformal(tau).bounds(actual, np.full(4000, 100.0), 1.0)
    assert abs(metrics.coverage(actual[500:], upper[500:]) - tau) < 0.02


def test_lower_bounds_mirror_upper_ones() -> None:
    actual = 100 * np.exp(0.2 * np.random.default_rng(4).standard_normal(1000))
    lower = Conformal(0.9).bounds(actual, np.full(1000, 100.0), 1.0, side=-1)
    assert abs(np.mean(actual[100:] >= lower[100:]) - 0.9) < 0.03
    assert (lower[100:] < 100).all()


def test_no_bound_before_enough_scores_and_one_for_the_row_to_come() -> None:
    bounds = Conformal(0.9, trial=10).bounds(np.full(20, 5.0), np.full(21, 5.0), 1.0)
    assert np.isnan(bounds[:10]).all()
    assert_allclose(bounds[10:], 5.0)
    assert bounds.size == 21


def test_gaps_do_not_count_as_misses() -> None:
    actual = np.full(40, 10.0)
    actual[20:25] = np.nan
    offsets = Conformal(0.9).offsets(np.log(actual / 10.0))
    assert np.isfinite(offsets[10:]).all()


def test_the_conformal_quantile() -> None:
    scores = np.array([3.0, 1.0, 2.0, 4.0])
    assert quantile(scores, 0.5) == 3.0  # rank ⌈0.5 · 5⌉ = 3
    assert quantile(scores, 0.0) == 1.0
    assert quantile(scores, 0.99) == 4.0
    assert quantile(scores, 1.0) == 2 * 4.0 - 3.0  # beyond what was seen, yet finite


@pytest.mark.parametrize("tau", [0.0, 1.0, -0.1, float("nan")])
def test_levels_outside_0_to_1_are_refused(tau: float) -> None:
    with pytest.raises(BadParameter, match="tau"):
        Conformal(tau)


def test_a_prediction_has_ordered_bounds_that_widen(hourly: Series) -> None:
    found = predict(hourly, 48, "weekly_median", 0.9)
    assert (found.lower <= found.point).all()
    assert (found.point <= found.upper).all()
    width = found.upper / found.point
    assert width[-1] >= width[0]
    assert_array_equal(np.diff(found.starts), 3600.0)
    assert found.starts[0] == hourly.end_s
    assert found.model == "weekly_median"


def test_a_model_off_to_one_side_still_forecasts_within_its_band() -> None:
    """Volumes that stop doubling: the mean is too low in all the past it is judged by."""
    values = np.array([1.0 + 2.0 ** min(row, 8) for row in range(24)])
    coming = predict(Series(values, step_s=3600), horizon=5)
    assert (coming.lower <= coming.point).all()
    assert (coming.point <= coming.upper).all()


def test_a_prediction_without_past_errors_has_no_bounds() -> None:
    found = predict(Series(np.array([4.0, 4.0])), 1, "persistence")
    assert found.point[0] == 4.0
    assert np.isnan(found.upper[0])


def test_a_back_test_takes_the_last_third_and_scores_against_the_seasonal_naive(hourly: Series) -> None:
    found = backtest(model("seasonal_naive"), hourly)
    assert found.first == last_third(hourly) == len(hourly) - len(hourly) // 3
    assert found.accuracy.rows == len(hourly) // 3
    assert found.accuracy.accuracy == 100 - found.accuracy.mape
    with pytest.raises(BadParameter, match="first"):
        backtest(model("persistence"), hourly, 0)


def test_measures_by_hand() -> None:
    actual, forecast = np.array([100.0, 50.0, 0.0, np.nan]), np.array([110.0, 40.0, 5.0, 1.0])
    found = metrics.score(actual, forecast, scale=10.0)
    assert found.rows == 3
    assert found.mape == pytest.approx((10 + 20) / 2)
    assert found.smape == pytest.approx(100 * (20 / 210 + 20 / 90 + 10 / 5) / 3)
    assert found.wmape == pytest.approx(100 * 25 / 150)
    assert found.mase == pytest.approx(25 / 3 / 10)
    assert found.r2 == pytest.approx(1 - 225 / 5000)
    assert metrics.naive_scale(np.array([1.0, 3.0, 2.0, 6.0]), 2) == pytest.approx(2.0)
    assert metrics.pinball(np.array([10.0, 0.0]), np.array([5.0, 5.0]), 0.9) == pytest.approx((4.5 + 0.5) / 2)
    assert np.isnan(metrics.score(np.zeros(2), np.zeros(2)).mape)
    with pytest.raises(EmptySeries):
        metrics.score(np.array([np.nan]), np.array([1.0]))


def test_a_gap_is_filled_from_the_week_before_at_the_present_level() -> None:
    series = weekly(24 * 21, noise=0.0)
    values = np.array(series.values)
    values[24 * 14 :] *= 2
    truth = values.copy()
    values[24 * 15 : 24 * 15 + 5] = np.nan
    assert_allclose(gaps.fill(series.with_values(values)), truth, rtol=1e-9)


def test_gaps_at_the_start_and_without_history() -> None:
    filled = gaps.fill(Series(np.array([np.nan, 3.0, np.nan, np.nan, 5.0])))
    assert_array_equal(filled, [3.0, 3.0, 3.0, 3.0, 5.0])


def test_filling_never_reads_ahead() -> None:
    values = np.array(weekly(24 * 21).values)
    values[300:320] = np.nan
    changed = values.copy()
    changed[320:] *= 5
    series = weekly(24 * 21)
    first, second = gaps.fill(series.with_values(values)), gaps.fill(series.with_values(changed))
    assert_array_equal(first[:320], second[:320])


def test_a_running_day_is_its_past_plus_the_usual_rest() -> None:
    series = weekly(24 * 35 + 12, noise=0.0)
    found = reforecast(series)
    day = weekly(24 * 36, noise=0.0).values[24 * 35 :]
    assert found.so_far == pytest.approx(day[:12].sum())
    assert found.total == pytest.approx(day.sum(), rel=1e-6)


def test_a_running_day_follows_its_own_level() -> None:
    values = np.array(weekly(24 * 35 + 12, noise=0.0).values)
    usual = reforecast(weekly(24 * 35 + 12, noise=0.0)).rest
    values[24 * 35 :] *= 1.2
    series = weekly(24 * 35 + 12).with_values(values)
    assert reforecast(series).rest > usual * 1.05


def test_a_running_holiday_looks_like_a_sunday() -> None:
    # Monday 5 February 2024 is day 35.
    plain = reforecast(weekly(24 * 35 + 6, noise=0.0))
    holiday = reforecast(weekly(24 * 35 + 6, noise=0.0, holidays=frozenset({date(2024, 2, 5)})))
    assert holiday.rest < plain.rest


def test_at_midnight_the_new_day_is_meant() -> None:
    series = weekly(24 * 35, noise=0.0)
    found = reforecast(series, series.end_s)
    assert found.so_far == 0.0
    assert found.day == 19723 + 35
    assert found.total == pytest.approx(weekly(24 * 36, noise=0.0).values[24 * 35 :].sum(), rel=1e-6)


def test_a_running_day_needs_a_like_day_and_short_rows() -> None:
    with pytest.raises(TooShort):
        reforecast(weekly(40))
    with pytest.raises(BadParameter):
        reforecast(Series(np.ones(30), 86400.0))
