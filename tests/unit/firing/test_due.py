"""Due times: rules, bounds, exclusions, jitter, late ones, and what is refused."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest

from trainmaster.domain.trigger import (
    Cron,
    Fold,
    Gap,
    Interval,
    InvalidTrigger,
    Misfire,
    Once,
    Timing,
    UnknownZone,
)
from trainmaster.policies.firing.due import due_times, preview, start_time, validate
from trainmaster.policies.firing.misfire import why_missed


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def shown(timing: Timing, after: str, limit: int) -> list[str]:
    found = preview(timing, ms(after), limit)
    return [f"{datetime.fromtimestamp(due / 1000, UTC):%m-%d %H:%M:%S}" for due in found]


@pytest.mark.parametrize(
    ("gap", "due"), [(Gap.SKIP, "03-30 00:30"), (Gap.AFTER, "03-29 01:00"), (Gap.SHIFT, "03-29 01:30")]
)
def test_an_hour_that_does_not_exist(gap: Gap, due: str) -> None:
    timing = Timing(Cron("30 2 * * *", "Europe/Berlin", gap=gap))
    assert shown(timing, "2026-03-28T12:00", 1) == [f"{due}:00"]


@pytest.mark.parametrize(
    ("fold", "dues"),
    [(Fold.FIRST, ["00:30"]), (Fold.SECOND, ["01:30"]), (Fold.BOTH, ["00:30", "01:30"])],
)
def test_an_hour_that_comes_twice(fold: Fold, dues: list[str]) -> None:
    timing = Timing(Cron("30 2 * * *", "Europe/Berlin", fold=fold), end_ms=ms("2026-10-25T12:00"))
    assert shown(timing, "2026-10-24T12:00", 3) == [f"10-25 {due}:00" for due in dues]
    # Asked between the two, only the second is left.
    assert len(shown(timing, "2026-10-25T01:00", 3)) == (fold is not Fold.FIRST)


def test_lines_that_go_by_real_time_keep_their_pace() -> None:
    quarter = Timing(Cron("*/15 * * * *", "Europe/Berlin"))
    around = preview(quarter, ms("2026-10-24T22:00"), 24) + preview(quarter, ms("2026-03-28T23:00"), 24)
    gaps = {b - a for a, b in itertools.pairwise(around)} - {around[24] - around[23]}
    assert gaps == {15 * 60_000}


def test_seconds_and_names() -> None:
    assert shown(Timing(Cron("*/20 59 23 * * *")), "2026-01-01T00:00", 3) == [
        "01-01 23:59:00", "01-01 23:59:20", "01-01 23:59:40",
    ]  # fmt: skip
    assert shown(Timing(Cron("@weekly")), "2026-01-01T00:00", 1) == ["01-04 00:00:00"]


def test_a_fixed_rate_counts_from_its_start() -> None:
    timing = Timing(Interval(1500), start_ms=1000, end_ms=5500)
    assert list(due_times(timing, 0)) == [1000, 2500, 4000, 5500]
    assert list(due_times(timing, 2500)) == [4000, 5500]
    assert list(due_times(timing, 2501)) == [4000, 5500]


def test_a_fixed_delay_counts_from_the_end_before() -> None:
    timing = Timing(Interval(1500, after_end=True), start_ms=1000)
    assert list(due_times(timing, 0)) == [1000]
    assert list(due_times(timing, 1000, ended_ms=7000)) == [8500]


def test_one_moment_is_due_once() -> None:
    assert list(due_times(Timing(Once(5000)), 4999)) == [5000]
    assert list(due_times(Timing(Once(5000)), 5000)) == []


def test_excluded_days_are_local_days() -> None:
    # 23:30 in New York is the next day in UTC already.
    timing = Timing(Cron("30 23 * * *", "America/New_York"), exclusions=("2026-12-24..2026-12-25", "12-27"))
    assert shown(timing, "2026-12-24T12:00", 2) == ["12-27 04:30:00", "12-29 04:30:00"]
    for_good = Timing(Interval(86_400_000), exclusions=("1970-01-01..2900-01-01",))
    assert list(due_times(for_good, 0)) == []


def test_jitter_is_the_same_whenever_it_is_asked_for() -> None:
    timing = Timing(Interval(60_000), jitter_ms=5000)
    delays = [start_time(timing, due, seed=7) - due for due in preview(timing, 0, 500)]
    assert delays == [start_time(timing, due, seed=7) - due for due in preview(timing, 0, 500)]
    assert 0 <= min(delays) < 200
    assert 4800 < max(delays) <= 5000
    assert delays != [start_time(timing, due, seed=8) - due for due in preview(timing, 0, 500)]


@pytest.mark.parametrize(
    ("policy", "fires"),
    [
        (Misfire.SKIP, []),
        (Misfire.FIRE_ONCE, [4000]),
        (Misfire.CATCH_UP, [3000, 4000]),
    ],
)
def test_late_ones(policy: Misfire, fires: list[int]) -> None:
    dues, now = [1000, 2000, 3000, 4000], 4500
    found = [due for due in dues if not why_missed(now - due, 100, due < dues[-1], policy, window_ms=2000)]
    assert found == fires
    assert why_missed(100, 100, True, policy, 0) == ""  # in time, whatever the policy


@pytest.mark.parametrize(
    ("timing", "field"),
    [
        (Timing(Cron("0 0 30 2 *")), "cron"),
        (Timing(Cron("61 * * * *")), "cron"),
        (Timing(Cron("* * *")), "cron"),
        (Timing(Cron("")), "cron"),
        (Timing(Interval(1)), "every"),
        (Timing(Interval(1000), jitter_ms=2000), "jitter"),
        (Timing(Once(-1)), "at"),
        (Timing(Interval(1000), start_ms=5, end_ms=4), "end"),
        (Timing(Interval(1000), exclusions=("2026-02-30",)), "exclusions"),
        (Timing(Interval(1000), exclusions=("2026-03-02..2026-03-01",)), "exclusions"),
        (Timing(Interval(1000), exclusions=("tomorrow",)), "exclusions"),
    ],
)
def test_what_can_never_be_right_is_refused_by_name(timing: Timing, field: str) -> None:
    with pytest.raises(InvalidTrigger) as caught:
        validate(timing)
    assert caught.value.fields["field"] == field
    assert caught.value.remedy


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "", "Europe/Berlin\0"])
def test_zones_that_do_not_exist(zone: str) -> None:
    with pytest.raises(UnknownZone):
        validate(Timing(Cron("@daily", zone)))
