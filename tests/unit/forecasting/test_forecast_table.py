"""Tables: what is read, ordered, joined, laid on a grid or refused."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from trainmaster.forecasting.errors import (
    BadParameter,
    BadRow,
    DuplicateTimestamp,
    EmptySeries,
    IrregularSpacing,
    NegativeValue,
)
from trainmaster.forecasting.table import read, to_series


def test_times_and_values() -> None:
    series = to_series(read(["time,jobs", "2024-01-01T00:00,1", "2024-01-01T01:00,2", "2024-01-01T03:00,4"]))
    assert_array_equal(series.values, [1.0, 2.0, np.nan, 4.0])
    assert series.step_s == 3600.0


def test_rows_out_of_order_are_put_in_order() -> None:
    series = to_series(read(["2024-01-01T02:00,3", "2024-01-01T00:00,1", "2024-01-01T01:00,2"]))
    assert_array_equal(series.values, [1.0, 2.0, 3.0])


def test_blank_and_nan_are_gaps() -> None:
    assert_array_equal(to_series(read(["value", "1", "NaN", "NA", "4"])).values, [1.0, np.nan, np.nan, 4.0])


def test_a_counting_first_column_is_no_time() -> None:
    series = to_series(read(["i,value", "0,5", "1,6", "2,7"]), step_s=305.2, start_s=10.0)
    assert_array_equal(series.values, [5.0, 6.0, 7.0])
    assert (series.step_s, series.start_s) == (305.2, 10.0)


def test_dates_are_calendar_days_of_the_zone_across_a_change_of_the_clock() -> None:
    lines = [f"2024-03-{day},{day}" for day in (29, 30, 31)] + ["2024-04-01,1", "2024-04-03,3"]
    series = to_series(read(lines, "Europe/Paris"), zone="Europe/Paris")
    assert series.civil
    assert_array_equal(series.values, [29.0, 30.0, 31.0, 1.0, np.nan, 3.0])


def test_a_repeated_hour_is_the_later_moment() -> None:
    lines = [f"2024-10-27T{h:02}:00,{i}" for i, h in enumerate((1, 2, 2, 3))]  # 03:00 went back to 02:00
    series = to_series(read(lines, "Europe/Paris"), zone="Europe/Paris")
    assert_array_equal(series.values, [0.0, 1.0, 2.0, 3.0])


def test_offsets_that_change_on_the_way_are_one_time_line() -> None:
    lines = ["2024-10-27T02:00+02:00,1", "2024-10-27T02:00+01:00,2", "2024-10-27T02:00Z,3"]
    assert_array_equal(to_series(read(lines)).values, [1.0, 2.0, 3.0])


@pytest.mark.parametrize(("how", "expected"), [("sum", 5.0), ("mean", 2.5), ("last", 3.0)])
def test_duplicates_need_a_rule(how: str, expected: float) -> None:
    table = read(["2024-01-01T00:00,2", "2024-01-01T00:00,3", "2024-01-01T01:00,1"])
    with pytest.raises(DuplicateTimestamp, match="duplicates='sum'") as caught:
        to_series(table)
    assert caught.value.row == 1
    assert_array_equal(to_series(table, duplicates=how).values, [expected, 1.0])  # type: ignore[arg-type]


def test_an_unknown_rule_for_duplicates_is_refused() -> None:
    with pytest.raises(BadParameter, match="sum, mean, last"):
        to_series(read(["2024-01-01,2", "2024-01-01,3"]), duplicates="first")  # type: ignore[arg-type]


def test_irregular_times_are_refused_with_a_remedy() -> None:
    table = read(["2024-01-01T00:00,1", "2024-01-01T01:00,2", "2024-01-01T01:20,3", "2024-01-01T02:20,3"])
    with pytest.raises(IrregularSpacing, match="events") as caught:
        to_series(table)
    assert caught.value.step_s == 3600.0


def test_a_stray_year_does_not_become_a_huge_grid() -> None:
    table = read(["2024-01-01T00:00,1", "2024-01-01T01:00,1", "2024-01-01T02:00,1", "2054-01-01T00:00,1"])
    with pytest.raises(IrregularSpacing):
        to_series(table)


def test_a_spacing_that_is_no_whole_second_is_found() -> None:
    step, start = 305.2197, 1.1e9
    lines = [f"{round(start + i * step)},{i}" for i in range(3000)]
    series = to_series(read(lines))
    assert_allclose(series.step_s, step, atol=1e-3)
    assert_array_equal(series.values, np.arange(3000.0))


def test_event_times_are_counted() -> None:
    series = to_series(read(["2024-01-01T00:10", "2024-01-01T02:10", "2024-01-01T00:20"]), step_s=3600.0)
    assert_array_equal(series.values, [2.0, 0.0, 1.0])
    series = to_series(read(["7300", "100", "200"], moments=True), step_s=3600.0)
    assert_array_equal(series.values, [2.0, 0.0, 1.0])


@pytest.mark.parametrize("lines", [[], ["time,value"], ["", " "]])
def test_an_empty_table_is_refused(lines: list[str]) -> None:
    with pytest.raises(EmptySeries):
        to_series(read(lines))


def test_unreadable_cells_are_refused_with_their_line() -> None:
    with pytest.raises(BadRow, match="line 3") as caught:
        read(["time,value", "2024-01-01,1", "2024-01-02,many"])
    assert (caught.value.line, caught.value.text) == (3, "many")
    with pytest.raises(BadRow, match="ISO 8601"):
        read(["2024-01-01,1", "someday,2"])
    with pytest.raises(BadRow, match="2 columns"):
        read(["2024-01-01,1", "2024-01-02"])
    with pytest.raises(NegativeValue):
        to_series(read(["2024-01-01,1", "2024-01-02,-1"]))


def test_one_row_is_a_series() -> None:
    assert_array_equal(to_series(read(["2024-01-01T00:00,3"])).values, [3.0])
