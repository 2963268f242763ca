"""From counts and work done to nodes: the decision live sizing makes."""

from __future__ import annotations

import dataclasses
import json

import pytest

from trainmaster.domain.ids import NodeId
from trainmaster.domain.sizing import Done, Grid, Outlook, SizingKnobs, Standing, Worked
from trainmaster.domain.units import Resources
from trainmaster.forecasting.errors import EmptySeries, UnknownModel
from trainmaster.policies.sizing import BadSizing, SizingMemory
from trainmaster.policies.sizing.outlook import look, series_of

HOUR = 3600.0
START = 1_767_225_600.0  # 2026-01-01T00:00Z
NODE = Resources(cpu_m=4000, memory=10**10)
NIGHT, DAY = 10, 100


def slots(hours: int, slot_s: float = 900.0) -> dict[int, int]:
    """A daily wave: 100 tasks an hour from 8 to 20 o'clock, 10 at night, all in the hour's second quarter."""
    first = int(START // slot_s)
    per_hour = int(HOUR // slot_s)
    return {first + hour * per_hour + 1: DAY if 8 <= hour % 24 < 20 else NIGHT for hour in range(hours)}


def there(on: int, asleep: int = 0, waiting: int = 0, running: int = 0) -> Standing:
    names = [NodeId(f"n{number}") for number in range(on + asleep)]
    return Standing(tuple(names[:on]), tuple(names[on:]), tuple(names[on:]), waiting, running, NODE)


def ten_per_node() -> tuple[Worked, ...]:
    """A task takes a whole node for six minutes."""
    return (Worked(100, (Done(NODE, 100, 36_000.0),)),)


def decide(
    hours: int,
    standing: Standing,
    knobs: SizingKnobs | None = None,
    memory: SizingMemory | None = None,
    worked: tuple[Worked, ...] | None = None,
    **grid: object,
) -> Outlook:
    now = START + hours * HOUR + 1.0
    made = Grid(**grid)  # type: ignore[arg-type]
    series = series_of(slots(hours), 900.0, START, now, made)
    return look(
        series,
        ten_per_node() if worked is None else worked,
        standing,
        knobs or SizingKnobs(hold=1, target_utilisation=1.0),
        made,
        memory or SizingMemory(),
        now,
    )


def test_closed_hours_only() -> None:
    series = series_of(slots(10), 900.0, START, START + 9.5 * HOUR, Grid())
    assert series.values.tolist() == [NIGHT] * 8 + [DAY]
    assert series.end_s == START + 9 * HOUR


def test_quiet_hours_at_the_end_count() -> None:
    series = series_of({int(START // 900): 3}, 900.0, START, START + 4 * HOUR, Grid())
    assert series.values.tolist() == [3, 0, 0, 0]


def test_no_hour_has_closed_yet() -> None:
    with pytest.raises(EmptySeries):
        series_of(slots(1), 900.0, START, START + HOUR / 2, Grid())


def test_rows_follow_the_wall_clock_of_the_zone() -> None:
    series = series_of(slots(30), 900.0, START, START + 30 * HOUR, Grid(zone="Asia/Kolkata"))
    assert series.start_s % HOUR == HOUR / 2
    days = series_of(slots(72), 900.0, START, START + 72 * HOUR, Grid(86400.0, "Europe/Berlin"))
    assert days.civil
    assert days.start_s == START + 23 * HOUR


def test_the_forecast_knows_the_morning_and_wakes_nodes_for_it() -> None:
    """At eight o'clock of the fifteenth day: the night is over, says the past, before the first task came."""
    found = decide(14 * 24 + 8, there(2, 18))
    assert found.coming[0].tasks == pytest.approx(DAY, rel=0.1)
    assert found.capacity == pytest.approx(10.0)
    assert found.wanted is not None
    assert 10 <= found.wanted <= 13
    assert (found.wake, found.drain) == (found.wanted - 2, 0)
    assert found.next_at == found.coming[1].time == START + (14 * 24 + 9) * HOUR


def test_at_night_nodes_are_drained_once_two_decisions_agree() -> None:
    knobs = SizingKnobs(hold=2, target_utilisation=1.0)
    first = decide(14 * 24 + 22, there(20), knobs)
    assert (first.wanted, first.drain) == (20, 0)
    second = decide(14 * 24 + 23, there(20), knobs, SizingMemory(*first.memory))
    assert second.wanted is not None
    assert second.wanted <= 3
    assert second.drain == 20 - second.wanted


def test_the_plan_follows_the_wave() -> None:
    found = decide(14 * 24, there(20))
    nodes = {int((row.time - START) // HOUR) % 24: row.nodes for row in found.coming}
    assert all(nodes[hour] is not None for hour in range(24))
    assert max(nodes[hour] or 0 for hour in range(7)) < min(nodes[hour] or 0 for hour in range(8, 20))


def test_backlog_needs_nodes_too() -> None:
    calm, behind = decide(48, there(20)), decide(48, there(20, waiting=100))
    assert calm.wanted is not None
    assert behind.wanted == min(calm.wanted + 10, 20)


def test_bounds_hold() -> None:
    assert decide(14 * 24 + 12, there(20), SizingKnobs(max_nodes=4, hold=1)).wanted == 4
    assert decide(14 * 24 + 2, there(20), SizingKnobs(min_nodes=6, hold=1)).wanted == 6
    assert decide(14 * 24 + 2, there(3), SizingKnobs(min_nodes=6, hold=1)).wanted == 3


def test_without_a_measured_capacity_nothing_is_recommended() -> None:
    found = decide(48, there(4), worked=(Worked(0),))
    assert (found.wanted, found.wake, found.drain) == (None, 0, 0)
    assert "no task has ended yet" in found.reason
    assert found.coming[0].nodes is None
    static = decide(48, there(4), SizingKnobs(policy="static", nodes=2, hold=1), worked=())
    assert (static.wanted, static.drain) == (2, 2)


def test_without_nodes_nothing_is_sized() -> None:
    assert decide(48, there(0)).wanted is None


@pytest.mark.parametrize("policy", ["static", "reactive", "lsp", "conformal"])
def test_every_policy_decides_and_says_why(policy: str) -> None:
    found = decide(14 * 24, there(20), SizingKnobs(policy=policy, hold=1))  # type: ignore[arg-type]
    assert found.wanted is not None
    assert 1 <= found.wanted <= 20
    assert found.reason


def test_errors_beside_the_floor() -> None:
    fit = decide(14 * 24, there(20)).fit
    assert fit.rows > 200
    assert fit.error is not None
    assert fit.floor is not None
    assert fit.error < fit.floor
    assert fit.why


def test_one_closed_hour_is_enough_to_say_something() -> None:
    found = decide(1, there(4))
    assert found.coming[0].tasks == NIGHT
    assert found.coming[0].upper is None
    assert found.fit.error is None
    assert found.wanted is not None


def test_an_outlook_is_plain_json() -> None:
    json.dumps(dataclasses.asdict(decide(30, there(4))), allow_nan=False)


def test_errors_have_types() -> None:
    with pytest.raises(UnknownModel):
        decide(48, there(4), model="crystal_ball")
    with pytest.raises(BadSizing):
        decide(48, there(4), SizingKnobs(target_utilisation=0.0))
