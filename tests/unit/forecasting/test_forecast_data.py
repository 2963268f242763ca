"""The measured bars of the forecasting issue, on the series of the RLPTO paper (skipped without them)."""

from __future__ import annotations

import numpy as np
import pytest

from trainmaster.forecasting import Series, backtest, group, last_third, model, on_clock, reforecast
from trainmaster.forecasting.leakage import check_causal
from trainmaster.forecasting.series import rows_ended


def test_five_minutes_ahead(a5m: Series) -> None:
    ours, floor = backtest(model(), a5m), backtest(model("persistence"), a5m)
    assert floor.accuracy.accuracy == pytest.approx(96.93, abs=0.01)
    assert ours.accuracy.accuracy >= 97.3
    assert ours.accuracy.mape <= 0.88 * floor.accuracy.mape
    assert abs(ours.coverage - 0.9) < 0.02


def test_an_hour_ahead_on_the_published_rows(a5m: Series) -> None:
    ours = backtest(model(), group(a5m, 12))
    assert ours.accuracy.accuracy >= 96.4
    assert abs(ours.coverage - 0.9) < 0.02


def test_an_hour_ahead_on_the_repaired_clock_without_a_leak(a5m: Series) -> None:
    hours = on_clock(a5m, 3600.0)
    ours = backtest(model(), hours)
    assert ours.accuracy.accuracy >= 96.9
    assert abs(ours.coverage - 0.9) < 0.02
    assert check_causal(model(), hours, [last_third(hours), len(hours) - 1]) == 2


def test_a_day_ahead_on_the_repaired_clock(a5m: Series) -> None:
    assert backtest(model(), on_clock(a5m, 0.0, civil=True)).accuracy.accuracy >= 94.0


def test_a_day_forecast_anew_at_noon(a5m: Series) -> None:
    days = on_clock(a5m, 0.0, civil=True)
    error = []
    for day in range(last_third(days), len(days)):
        noon = float(days.starts(day)) + 12 * 3600
        found = reforecast(a5m.until(rows_ended(a5m, noon)), noon)
        error.append(abs(found.total / days.values[day] - 1))
    assert 100 * (1 - np.mean(error)) >= 97.5
