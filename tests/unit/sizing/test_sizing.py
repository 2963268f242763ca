"""Sizing policies: what they want, how they get there, and what it costs over time."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from trainmaster.policies.sizing import (
    BadSizing,
    Conformal,
    Lsp,
    Reactive,
    SizingLimits,
    SizingMemory,
    SizingSnapshot,
    Static,
)
from trainmaster.policies.sizing.backtest import oracle, run
from trainmaster.policies.sizing.settle import nodes_for, settle

FREE = SizingLimits(0, 100)
HOUR = 3600.0


def seen(**changes: object) -> SizingSnapshot:
    fields: dict[str, object] = {"interval_s": HOUR, "forecast": 100.0, "capacity": 10.0, "nodes_on": 10}
    return SizingSnapshot(**{**fields, **changes})  # type: ignore[arg-type]


def test_static_wants_what_it_was_told() -> None:
    decision = Static(4, FREE).decide(seen())
    assert (decision.wanted, decision.drain, decision.power_on) == (4, 6, 0)


def test_reactive_follows_the_latest_demand_and_the_backlog() -> None:
    policy = Reactive(FREE, margin=0.1)
    assert policy.decide(seen(arrived=(50.0, 100.0))).wanted == 11
    assert policy.decide(seen(arrived=(50.0, 100.0), backlog=20.0)).wanted == 13
    assert Reactive(FREE, margin=0.0, look=2).decide(seen(arrived=(300.0, 100.0))).wanted == 30
    assert policy.decide(seen(forecast=40.0)).wanted == 5  # nothing seen yet: by the forecast


def test_lsp_is_equations_2_and_3() -> None:
    snapshot = seen(
        forecast=96.0, completed=40.0, nodes_on=10, arrived=(40.0,), memory=SizingMemory(per_node=10.0)
    )
    decision = Lsp(FREE, rho=0.8).decide(snapshot)
    # 0.8 · 10 + 0.2 · 4 = 8.8 per node; 96 / 8.8 = 10.9
    assert decision.memory.per_node == pytest.approx(8.8)
    assert decision.wanted == 11


def test_lsp_starts_from_its_seed_or_the_capacity() -> None:
    assert Lsp(FREE, seed=5.0).decide(seen()).wanted == 20
    assert Lsp(FREE).decide(seen()).wanted == 10


def test_lsp_after_a_long_idle_time_asks_for_no_more_than_there_is() -> None:
    snapshot = seen(completed=0.0, arrived=(0.0,), memory=SizingMemory(per_node=1e-300))
    assert Lsp(SizingLimits(0, 7)).decide(snapshot).wanted == 7


def test_the_formula_keeps_a_cluster_as_oversized_as_it_began() -> None:
    demand = np.full(60, 100.0)
    nodes = []
    for start in (10, 15, 20):
        result = run(
            Lsp(FREE, seed=100.0 / start), demand, demand, 10, 10.0, FREE, interval_s=HOUR, start_nodes=start
        )
        nodes.append(int(result.nodes[-1]))
        assert result.late_percent == 0
    assert nodes == [10, 15, 20]


def test_the_cost_of_a_miss_sets_the_quantile() -> None:
    assert Conformal(FREE, miss_cost=9.0).tau == 0.9
    errors = tuple((0.2 * np.random.default_rng(0).standard_normal(101)).tolist())
    wants = [Conformal(FREE, cost).decide(seen(errors=errors)).wanted for cost in (1.0, 4.0, 19.0)]
    assert wants == sorted(wants)
    assert wants[0] < wants[-1]


def test_conformal_adds_the_backlog_and_keeps_to_the_target_utilisation() -> None:
    errors = (0.0,) * 50
    assert Conformal(FREE).decide(seen(errors=errors)).wanted == 10
    assert Conformal(FREE).decide(seen(errors=errors, backlog=25.0)).wanted == 13
    assert Conformal(FREE, target_utilisation=0.5).decide(seen(errors=errors)).wanted == 20


def test_conformal_without_past_errors_uses_its_first_margin() -> None:
    assert Conformal(FREE, first_margin=0.25).decide(seen(offset=0.0)).wanted == 13


def test_every_decision_says_why() -> None:
    for policy in (Static(3, FREE), Reactive(FREE), Lsp(FREE), Conformal(FREE)):
        reason = policy.decide(seen(arrived=(90.0,))).reason
        assert "nodes" in reason
        assert any(character.isdigit() for character in reason)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SizingLimits(5, 4),
        lambda: SizingLimits(-1, 4),
        lambda: SizingLimits(0, 4, hold=0),
        lambda: SizingLimits(0, 4, boot_s=-1.0),
        lambda: Conformal(FREE, miss_cost=0.0),
        lambda: Lsp(FREE, rho=2.0),
        lambda: Lsp(FREE, seed=0.0),
        lambda: Reactive(FREE).decide(seen(capacity=0.0)),
        lambda: Conformal(FREE, target_utilisation=1.5).decide(seen()),
    ],
)
def test_numbers_out_of_range_are_refused(make: object) -> None:
    with pytest.raises(BadSizing, match="must be"):
        make()  # type: ignore[operator]


def test_limits_bound_every_want_and_say_so() -> None:
    limits = SizingLimits(3, 8)
    assert Static(50, limits).decide(seen()).wanted == 8
    low = Static(0, limits).decide(seen())
    assert low.wanted == 3
    assert "3..8" in low.reason


def test_shrinking_waits_for_hold_decisions_and_goes_to_the_largest_want() -> None:
    limits = SizingLimits(0, 100, hold=3)
    memory = SizingMemory()
    drained = []
    for want in (6, 4, 5, 2):
        decision = settle(want, seen(memory=memory), limits, "test")
        memory = decision.memory
        drained.append(decision.drain)
    assert drained == [0, 0, 4, 5]


def test_growing_is_immediate_even_while_shrinking_is_held() -> None:
    limits = SizingLimits(0, 100, hold=5)
    assert settle(12, seen(), limits, "test").power_on == 2


def test_draining_nodes_come_back_before_others_are_powered_on() -> None:
    decision = settle(15, seen(nodes_draining=3, nodes_drained=2), FREE, "test")
    assert (decision.undrain, decision.power_on, decision.power_off) == (3, 2, 0)


def test_only_empty_drained_nodes_are_powered_off() -> None:
    decision = settle(10, seen(nodes_draining=4, nodes_drained=1), FREE, "test")
    assert (decision.power_off, decision.drain) == (1, 0)


def test_booting_nodes_count_and_are_not_drained() -> None:
    decision = settle(12, seen(nodes_booting=2), FREE, "test")
    assert (decision.power_on, decision.drain) == (0, 0)
    assert settle(1, seen(nodes_on=1, nodes_booting=5), FREE, "test").drain == 1


def test_nodes_that_boot_for_half_the_interval_are_asked_for_twice() -> None:
    limits = SizingLimits(0, 100, boot_s=HOUR / 2)
    assert nodes_for(120.0, seen(), limits, 1.0) == 14  # 2 missing, half their hour lost
    assert nodes_for(90.0, seen(), limits, 1.0) == 9
    late = SizingLimits(0, 100, boot_s=2 * HOUR)
    assert nodes_for(120.0, seen(), late, 1.0) == 12


def test_the_oracle_is_the_fewest_nodes_without_late_work() -> None:
    assert_array_equal(oracle(np.array([0.0, 10.0, 10.1, 999.0]), 10.0, SizingLimits(0, 50)), [0, 1, 2, 50])


def test_a_run_counts_hours_late_work_and_power_ons() -> None:
    demand = np.array([10.0, 10.0, 30.0, 10.0, 10.0])
    result = run(Static(2, FREE), demand, demand, 1, 10.0, FREE, interval_s=HOUR, start_nodes=1)
    assert_array_equal(result.nodes, [2, 2, 2, 2])
    assert result.node_hours == 8
    assert result.oracle_hours == 1 + 3 + 1 + 1
    # Row 2 brings 30: 20 served, 10 late; row 3 serves the 10 first and its own 10.
    assert result.late_percent == pytest.approx(100 * 10 / 60)
    assert result.power_ons == 1


def test_late_work_is_counted_once_however_long_it_waits() -> None:
    demand = np.array([10.0, 50.0, 0.0, 0.0, 0.0])
    result = run(Static(1, FREE), demand, demand, 1, 10.0, FREE, interval_s=HOUR)
    assert result.late_percent == pytest.approx(100 * 40 / 50)


def test_boot_time_costs_work_in_the_first_interval() -> None:
    limits = SizingLimits(0, 100, boot_s=HOUR / 2)
    demand = np.array([10.0, 20.0, 20.0])
    result = run(Static(2, limits), demand, demand, 1, 10.0, limits, interval_s=HOUR, start_nodes=1)
    assert result.late_percent == pytest.approx(100 * (5 + 5) / 40)


def test_a_perfect_forecast_costs_what_the_oracle_costs() -> None:
    demand = 100 + 50 * np.sin(np.arange(100) / 5)
    result = run(Conformal(FREE), demand, demand, 30, 10.0, FREE, interval_s=HOUR)
    assert result.ratio == pytest.approx(1.0)
    assert result.late_percent == 0


def test_runs_refuse_what_they_cannot_judge() -> None:
    demand = np.array([1.0, np.nan, 2.0])
    with pytest.raises(BadSizing, match="demand"):
        run(Static(1, FREE), demand, demand, 1, 1.0, FREE, interval_s=HOUR)
    with pytest.raises(BadSizing, match="first"):
        run(Static(1, FREE), np.ones(3), np.ones(3), 3, 1.0, FREE, interval_s=HOUR)
    with pytest.raises(BadSizing, match="capacity"):
        run(Static(1, FREE), np.ones(3), np.ones(3), 1, 0.0, FREE, interval_s=HOUR)
