"""Series: what is refused, what was known when, and the grids it is cut to."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from demand_series import column
from numpy.testing import assert_allclose, assert_array_equal

from trainmaster.forecasting import Series, group, on_clock
from trainmaster.forecasting.errors import BadParameter, EmptySeries, NegativeValue, NotFinite, UnknownZone
from trainmaster.forecasting.resample import onto_edges, rebuilt, running_total, total_at
from trainmaster.forecasting.series import rows_ended


@pytest.mark.parametrize("values", [[], [np.nan], [np.nan, np.nan]])
def test_a_series_without_a_value_is_refused(values: list[float]) -> None:
    with pytest.raises(EmptySeries) as caught:
        Series(np.array(values))
    assert caught.value.rows == len(values)


def test_a_negative_value_is_refused_with_its_row() -> None:
    with pytest.raises(NegativeValue, match="row 2 holds -3") as caught:
        Series(np.array([1.0, 2.0, -3.0]))
    assert (caught.value.row, caught.value.value) == (2, -3.0)


def test_an_infinite_value_is_refused_and_a_gap_is_not() -> None:
    with pytest.raises(NotFinite):
        Series(np.array([1.0, np.inf]))
    assert np.isnan(Series(np.array([1.0, np.nan])).values[1])


@pytest.mark.parametrize("step", [0.0, -1.0, np.nan, np.inf])
def test_a_step_must_be_positive(step: float) -> None:
    with pytest.raises(BadParameter, match="step_s"):
        Series(np.ones(3), step)


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(UnknownZone, match="Mars/Olympus"):
        Series(np.ones(3), zone="Mars/Olympus")


def test_values_are_copied_and_frozen() -> None:
    mine = np.ones(3)
    series = Series(mine)
    mine[0] = 7
    assert series.values[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        series.values[0] = 2


def test_group_sums_rows_and_keeps_the_finer_record() -> None:
    fine = Series(np.arange(10.0), 300.0)
    coarse = group(fine, 4)
    assert_array_equal(coarse.values, [6.0, 22.0])
    assert coarse.step_s == 1200.0
    assert coarse.finer is fine


def test_a_group_with_a_gap_is_a_gap() -> None:
    assert_array_equal(group(Series(np.array([1, 2, np.nan, 4.0])), 2).values, [3.0, np.nan])


def test_until_keeps_only_finer_samples_that_had_ended() -> None:
    coarse = group(Series(np.arange(12.0), 300.0), 4)
    cut = coarse.until(2)
    assert_array_equal(cut.values, [6.0, 22.0])
    assert cut.finer is not None
    assert len(cut.finer) == 8


def test_on_clock_splits_samples_and_tells_what_was_known() -> None:
    # Samples of 25 min from 00:00; hours end inside the third sample (00:50-01:15).
    fine = Series(np.array([25.0, 25.0, 50.0, 25.0, 25.0]), 1500.0, 0.0)
    hours = on_clock(fine, 3600.0)
    assert_allclose(hours.values, [25 + 25 + 50 * 10 / 25, 50 * 15 / 25 + 25 + 20])
    assert hours.known is not None
    # At 01:00 two samples (50 min) had ended: 50 stretched over the hour.
    assert_allclose(hours.known[0], 50 * 60 / 50)
    assert_allclose(hours.until(1).values, [60.0])
    assert rows_ended(fine, 3600.0) == 2


def test_on_clock_needs_a_divisor_of_a_day_and_no_finer_grid() -> None:
    fine = Series(np.ones(100), 1500.0)
    with pytest.raises(BadParameter):
        on_clock(fine, 5000.0)
    with pytest.raises(BadParameter):
        on_clock(fine, 300.0)


def test_calendar_days_have_23_and_25_hours_where_the_clock_changes() -> None:
    start = datetime(2024, 3, 30, 23, tzinfo=UTC).timestamp()  # midnight in Paris, 31 March 2024
    hours = Series(np.ones(24 * 3), 3600.0, start, "Europe/Paris")
    days = on_clock(hours, 0.0, civil=True)
    assert_array_equal(days.values[:2], [23.0, 24.0])
    assert float(days.starts(1)) - float(days.starts(0)) == 23 * 3600


def test_a_gap_makes_the_intervals_it_touches_gaps() -> None:
    fine = Series(np.array([1.0, np.nan, 1.0, 1.0]), 1800.0)
    assert_array_equal(on_clock(fine, 3600.0).values, [np.nan, 2.0])


def test_totals_outside_the_record_are_unknown() -> None:
    found = onto_edges(Series(np.ones(3), 10.0), np.array([-10.0, 0.0, 15.0, 40.0]))
    assert_array_equal(found, [np.nan, 1.5, np.nan])


def test_running_total_is_linear_within_a_row_and_level_outside() -> None:
    total = running_total(Series(np.array([2.0, np.nan, 4.0])))
    assert_allclose(total_at(total, np.array([-1.0, 0.5, 1.5, 2.25, 9.0])), [0.0, 1.0, 2.0, 3.0, 6.0])


def test_rebuilding_from_the_same_record_changes_nothing() -> None:
    fine = Series(np.arange(1.0, 400.0), 305.2, 17.0)
    hours = on_clock(fine, 3600.0)
    again = rebuilt(hours, fine)
    assert_array_equal(again.values, hours.values)
    assert hours.known is not None
    assert again.known is not None
    assert_array_equal(again.known, hours.known)


def test_tail_keeps_the_clock_and_the_finer_samples(hourly: Series) -> None:
    fine = Series(np.arange(48.0), 900.0, 1000.0)
    tail = group(fine, 4).tail(3)
    assert tail.start_s == 1000.0 + 9 * 3600.0
    assert tail.finer is not None
    assert_array_equal(tail.finer.values, np.arange(36.0, 48.0))
    assert len(hourly.tail(10_000)) == len(hourly)


def test_the_repaired_clock_is_the_published_one(a5m: Series) -> None:
    assert_allclose(on_clock(a5m, 3600.0).values, column("A1H_clock.csv"), rtol=1e-9)
    assert_allclose(on_clock(a5m, 0.0, civil=True).values, column("A1D_clock.csv"), rtol=1e-9)
