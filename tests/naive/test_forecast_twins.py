"""Slow, obvious twins of the fast parts of forecasting; each fast part must agree with its twin."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import combinations, pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from trainmaster.forecasting import Series, clock, group, model
from trainmaster.forecasting.conformal import Conformal, quantile
from trainmaster.forecasting.models.base import replay
from trainmaster.forecasting.models.combine import choices
from trainmaster.forecasting.models.lags import median
from trainmaster.forecasting.models.nnls import nnls
from trainmaster.forecasting.models.ridge import Ridge
from trainmaster.forecasting.models.theta import levels
from trainmaster.forecasting.resample import onto_edges


def weekly(rows: int, step_s: float = 3600.0, seed: int = 0) -> Series:
    hours = np.arange(rows) * step_s / 3600.0
    shape = 100 + 50 * np.sin(2 * np.pi * (hours % 24) / 24) - 40 * ((hours // 24) % 7 >= 5)
    noise = np.random.default_rng(seed).standard_normal(rows)
    # Whole numbers keep the logarithm's offset at 1, whatever rows it is taken from.
    return Series(np.round(1000 * shape * np.exp(0.05 * noise)), step_s, 1704067200.0)


@pytest.mark.parametrize("name", ["persistence", "seasonal_naive", "weekly_median"])
def test_rolling_is_replay(name: str) -> None:
    series = weekly(24 * 24)
    first = 24 * 22
    assert_allclose(model(name).rolling(series, first), replay(model(name), series, first), rtol=1e-9)


@pytest.mark.parametrize("name", ["theta", "smoothing"])
def test_rolling_with_a_refit_is_replay_at_the_refit(name: str) -> None:
    series = weekly(24 * 24)
    for first in (24 * 22, 24 * 22 + 5):
        expected = model(name).forecast(series.until(first), 1)
        assert_allclose(model(name).rolling(series, first)[:1], expected, rtol=1e-9)


@pytest.mark.parametrize("finer", [False, True])
def test_the_ridge_refitted_at_every_row_is_replay(finer: bool) -> None:
    series = group(weekly(24 * 22 * 4, 900.0), 4) if finer else weekly(24 * 22)
    ridge = replace(Ridge(), refit_s=series.step_s)
    first = len(series) - 5
    assert_allclose(ridge.rolling(series, first), replay(ridge, series, first), rtol=1e-6)


def test_smoothed_levels() -> None:
    values = np.random.default_rng(0).standard_normal(300)
    gains = np.array([0.02, 0.5, 0.99, 1.0])
    expected = np.empty((301, 4))
    expected[0] = values[0]
    for row in range(300):
        expected[row + 1] = expected[row] + gains * (values[row] - expected[row])
    assert_allclose(levels(values, gains), expected, atol=1e-12)


def test_nnls_is_the_best_over_all_supports() -> None:
    generator = np.random.default_rng(0)
    for _ in range(60):
        size = int(generator.integers(1, 6))
        design = generator.standard_normal((20, size))
        target = generator.standard_normal(20)
        gram, moment = design.T @ design + 1e-6 * np.eye(size), design.T @ target
        best, lowest = np.zeros(size), 0.0
        for count in range(1, size + 1):
            for support in combinations(range(size), count):
                index = list(support)
                trial = np.zeros(size)
                trial[index] = np.linalg.solve(gram[np.ix_(index, index)], moment[index])
                value = 0.5 * trial @ gram @ trial - moment @ trial
                if (trial >= 0).all() and value < lowest - 1e-12:
                    best, lowest = trial, value
        assert_allclose(nnls(gram, moment), best, atol=1e-8)


def test_totals_between_edges() -> None:
    generator = np.random.default_rng(1)
    series = Series(generator.random(50), 7.0, 100.0)
    edges = np.sort(100 + 350 * generator.random(20))
    expected = []
    for low, high in pairwise(edges):
        total = 0.0
        for row, value in enumerate(series.values):
            begin, end = 100 + 7.0 * row, 100 + 7.0 * (row + 1)
            total += value * max(0.0, min(high, end) - max(low, begin)) / 7.0
        expected.append(total)
    assert_allclose(onto_edges(series, edges), expected, atol=1e-12)


def test_adaptive_offsets() -> None:
    scores = np.random.default_rng(2).standard_normal(200)
    scores[50:55] = np.nan
    rule = Conformal(0.85, gain=0.05, window=60, trial=10)
    known: list[float] = []
    level, expected = 0.85, []
    for score in scores:
        offset = quantile(np.array(known[-60:]), level) if len(known) >= 10 else np.nan
        expected.append(offset)
        if np.isnan(score):
            continue
        if not np.isnan(offset):
            level = level + 0.05 * 0.85 if score > offset else level - 0.05 * 0.15
        known.append(float(score))
    assert_allclose(rule.offsets(scores)[:-1], expected)


def test_medians_without_gaps() -> None:
    stack = np.random.default_rng(3).random((5, 40))
    stack[np.random.default_rng(4).random((5, 40)) < 0.4] = np.nan
    expected = [np.median(c[np.isfinite(c)]) if np.isfinite(c).any() else np.nan for c in stack.T]
    assert_allclose(median(stack), expected)


def test_days_of_the_same_kind() -> None:
    first = date(2024, 1, 1)
    holidays = {date(2024, 3, 13), date(2024, 4, 1), date(2024, 4, 19)}
    days = np.array([clock.day_number(first + timedelta(d)) for d in range(60, 120)])
    oldest = clock.day_number(first)

    def kind(number: int) -> int:
        day = date(1970, 1, 1) + timedelta(number)
        return 6 if day in holidays else day.weekday()

    expected = np.full((3, days.size), np.nan)
    for column, day in enumerate(days):
        same = [back for back in range(1, int(day) - oldest + 1) if kind(int(day) - back) == kind(int(day))]
        expected[: len(same[:3]), column] = same[:3]
    assert_array_equal(clock.like_days_back(days, 3, holidays, oldest), expected)


def test_offsets_of_a_zone_row_by_row() -> None:
    zone = clock.zone_named("America/Sao_Paulo")
    moments = np.arange(1.2e9, 1.6e9, 1e6 + 1234)
    expected = [datetime.fromtimestamp(t, zone).utcoffset() for t in moments]
    assert_array_equal(
        clock.utc_offset(moments, "America/Sao_Paulo"), [e.total_seconds() for e in expected if e is not None]
    )


def test_choices_among_models() -> None:
    generator = np.random.default_rng(5)
    actual = 50 + 10 * generator.random(120)
    candidates = actual * np.exp(np.array([[0.02], [0.05], [0.2]]) * generator.standard_normal((3, 120)))
    default = candidates.mean(axis=0)
    found = choices(candidates, default, actual, 1.0, 2.5, 50)
    for row in range(121):
        low = max(0, row - 50)
        expected, best = -1, 0.0
        if row - low >= 28:
            target = np.log(actual[low:row] + 1)
            usual = np.abs(target - np.log(default[low:row] + 1))
            for index in range(3):
                gain = usual - np.abs(target - np.log(candidates[index, low:row] + 1))
                clear = gain.mean() > 2.5 * gain.std(ddof=1) / np.sqrt(gain.size)
                if clear and gain.mean() > best + 1e-15:
                    expected, best = index, float(gain.mean())
        assert found[row] == expected
