"""Local time on arrays, and counting events on it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from trainmaster.forecasting import clock, count
from trainmaster.forecasting.errors import BadParameter, EmptySeries, NotFinite, UnknownZone
from trainmaster.forecasting.events import epoch_seconds


def at(*parts: int, zone: str = "UTC") -> float:
    return datetime(*parts, tzinfo=ZoneInfo(zone)).timestamp()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "zone", ["Europe/Paris", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]
)
def test_offsets_are_those_of_the_zone_database(zone: str) -> None:
    moments = np.arange(at(2023, 1, 1), at(2025, 1, 1), 5 * 3600.0)
    expected = [datetime.fromtimestamp(t, ZoneInfo(zone)).utcoffset() for t in moments]
    assert_array_equal(
        clock.utc_offset(moments, zone), [e.total_seconds() for e in expected if e is not None]
    )


def test_the_same_time_a_day_earlier_crosses_a_change_of_the_clock() -> None:
    noon = at(2024, 3, 31, 12, zone="Europe/Paris")  # the clock went forward at 02:00
    earlier = clock.days_earlier(np.array([noon]), 1.0, "Europe/Paris")[0]
    assert earlier == at(2024, 3, 30, 12, zone="Europe/Paris")
    assert noon - earlier == 23 * 3600


def test_kinds_of_days_are_weekdays_and_holidays_are_sundays() -> None:
    monday = clock.day_number(date(2024, 5, 6))
    days = np.arange(monday, monday + 7)
    assert_array_equal(clock.day_kinds(days), range(7))
    assert clock.day_kinds(days, [date(2024, 5, 9)])[3] == clock.HOLIDAY_KIND


def test_like_days_skip_holidays_and_a_holiday_looks_at_sundays() -> None:
    thursday = clock.day_number(date(2024, 5, 16))
    holiday = date(2024, 5, 9)  # the Thursday before
    back = clock.like_days_back(np.array([thursday]), 2, [holiday], oldest=thursday - 60)
    assert_array_equal(back[:, 0], [14.0, 21.0])
    back = clock.like_days_back(np.array([thursday - 7]), 2, [holiday], oldest=thursday - 60)
    assert_array_equal(back[:, 0], [4.0, 11.0])  # Sundays 5 May and 28 April


def test_midnight_is_local() -> None:
    day = clock.day_number(date(2024, 7, 1))
    assert clock.midnight(day, "Asia/Kathmandu") == at(2024, 7, 1, zone="Asia/Kathmandu")


def test_events_are_counted_on_local_hours() -> None:
    base = at(2024, 1, 1, 9, zone="Asia/Kathmandu")  # UTC+05:45: local hours are quarter past in UTC
    series = count([base, base + 3599, base + 3600], zone="Asia/Kathmandu")
    assert_array_equal(series.values, [2.0, 1.0])
    assert series.start_s == base


def test_events_in_any_order_and_at_one_moment_all_count() -> None:
    series = count([7200.0, 0.0, 7200.0, 10.0], 3600.0)
    assert_array_equal(series.values, [2.0, 0.0, 2.0])


def test_calendar_days_follow_the_zone_over_both_changes_of_the_clock() -> None:
    hours = np.arange(at(2024, 10, 26, zone="Europe/Paris"), at(2024, 10, 29, zone="Europe/Paris"), 3600.0)
    series = count(hours, zone="Europe/Paris", civil=True)
    assert_array_equal(series.values, [24.0, 25.0, 24.0])


def test_a_stated_stretch_counts_its_quiet_ends_and_leaves_out_what_still_runs() -> None:
    series = count([4000.0], 3600.0, since_s=0.0, until_s=3 * 3600.0 + 1800.0)
    assert_array_equal(series.values, [0.0, 1.0, 0.0])


def test_weights_are_summed() -> None:
    assert_array_equal(count([0.0, 1.0, 3600.0], weights=[2.0, 0.5, 4.0]).values, [2.5, 4.0])


def test_bad_events_are_refused() -> None:
    with pytest.raises(EmptySeries):
        count([])
    with pytest.raises(NotFinite):
        count([0.0, np.nan])
    with pytest.raises(BadParameter):
        count([0.0], 7000.0)
    with pytest.raises(UnknownZone):
        count([0.0], zone="Nowhere")
    with pytest.raises(BadParameter):
        count([5.0], since_s=10.0, until_s=5.0)


def test_datetimes_become_epoch_seconds_on_the_wall_clock_of_the_zone() -> None:
    naive = datetime(2024, 7, 1, 12)
    aware = datetime(2024, 7, 1, 12, tzinfo=UTC)
    found = epoch_seconds([naive, aware], "Europe/Paris")
    assert found[1] - found[0] == timedelta(hours=2).total_seconds()
