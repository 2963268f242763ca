"""Accuracy as the simulator models it, against its closed form."""

from __future__ import annotations

import pytest

from trainmaster.simulator.convergence import AccuracyCurve, Converging
from trainmaster.simulator.errors import BadCurve, BadSetting
from trainmaster.simulator.speed import Usl
from trainmaster.simulator.training import Crew
from trainmaster.simulator.workload.images import TWELVE_NODES, images, stop_at
from trainmaster.simulator.workload.priorities import COMBINATIONS, POINTS, area, reward_at

CURVE = AccuracyCurve(0.9, 0.8, 1.0, shard=0.01, settle=2.0, wear=2.0)


def trained(workers: int, epochs: int) -> Converging:
    training = Converging(CURVE, Usl(), 10.0, epochs)
    training.crew(Crew((workers,)))
    while not training.over:
        training.advance(training.ahead())
    return training


def test_accuracy_begins_at_the_start_and_follows_the_power_law() -> None:
    """e₀ = 1: 0.9 − 0.8/(e + 1)."""
    assert trained(1, 3).reported == pytest.approx([0.9 - 0.8 / 2, 0.9 - 0.8 / 3, 0.9 - 0.8 / 4])


def test_workers_cost_accuracy_and_give_it_back() -> None:
    training = trained(5, 40)
    assert CURVE.at(40, 0) - training.accuracy == pytest.approx(0.04, abs=1e-6)
    training.epochs = 60
    training.crew(Crew((1,)))
    while not training.over:
        training.advance(training.ahead())
    assert training.accuracy == pytest.approx(CURVE.at(60, 0), abs=1e-5)


def test_halves_of_an_epoch_are_an_epoch() -> None:
    whole, halves = trained(3, 1), Converging(CURVE, Usl(), 10.0, 1)
    halves.crew(Crew((3,)))
    halves.advance(0.5)
    halves.advance(0.5)
    assert halves.accuracy == pytest.approx(whole.accuracy) and halves.over


def test_a_lost_epoch_is_trained_again() -> None:
    training = trained(2, 4)
    before = list(training.reported)
    training.back_to(2.7)
    assert training.done == 2.0 and not training.over and training.reported == before[:2]
    while not training.over:
        training.advance(training.ahead())
    assert training.reported == pytest.approx(before)


def test_the_rule_stops_and_the_same_seed_draws_the_same_tasks() -> None:
    first, second = (images(TWELVE_NODES, 7, stop_at(1e-3)) for _ in range(2))
    assert [a.spec for a in first] == [a.spec for a in second]
    training = first[0].training
    while not training.over:
        training.advance(training.ahead())
    values = training.reported  # type: ignore[attr-defined]
    assert (values[-1] - values[-6]) / 5 < 1e-3 <= (values[-2] - values[-7]) / 5


def test_reward_over_time() -> None:
    ends = [(1000.0, 4), (5000.0, 1), (9000.0, 5)]
    assert [reward_at(t, ends) for t in (999, 1000, 7200)] == [0, 80, 90]
    assert area(ends, 10_000.0) == pytest.approx((80 * 9000 + 10 * 5000 + 40 * 1000) / 10_000)
    assert all(len(levels) == 12 and set(levels) <= set(POINTS) for levels in COMBINATIONS)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(BadCurve):
        AccuracyCurve(0.05, 1.0, 1.0)
    with pytest.raises(BadCurve):
        AccuracyCurve(0.9, 0.0, 1.0)
    with pytest.raises(BadSetting):
        Converging(CURVE, Usl(), 0.0, 1)
    with pytest.raises(BadSetting):
        Converging(CURVE, Usl(), 1.0, 0)
