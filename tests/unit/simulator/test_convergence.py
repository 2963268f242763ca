"""Accuracy as the simulator models it, against its closed form."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trainmaster.policies.allotment.fair import Fair
from trainmaster.rl.experiment import run
from trainmaster.simulator.convergence import AccuracyCurve, Converging
from trainmaster.simulator.errors import BadCurve, BadSetting
from trainmaster.simulator.speed import Usl
from trainmaster.simulator.training import Crew
from trainmaster.simulator.workload.images import PAPER, TWELVE_NODES, images, stop_at
from trainmaster.simulator.workload.priorities import COMBINATIONS, POINTS, area, reward_at

CURVE = AccuracyCurve(0.9, 0.8, 1.0, shard=0.01, settle=2.0, wear=2.0)
SLOW = AccuracyCurve(0.9, 0.8, 1.0, slowness=0.5)


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


def slowly(*crews: tuple[int, float]) -> Converging:
    """So many workers until so many epochs are done, in turn."""
    training = Converging(SLOW, Usl(), 10.0, 100)
    for workers, until in crews:
        training.crew(Crew((workers,)))
        while training.done < until:
            training.advance(min(training.ahead(), until - training.done))
    return training


def test_workers_slow_learning_by_a_fixed_share_of_an_epoch() -> None:
    """slowness 0.5: four workers need two epochs for what one learns in one, nine three."""
    assert slowly((4, 10)).effective == pytest.approx(5)
    assert slowly((4, 10)).reported[-1] == pytest.approx(SLOW.at(5, 0))
    assert slowly((9, 6)).accuracy == pytest.approx(slowly((1, 2)).accuracy)


def test_a_resize_changes_the_pace_and_not_the_past() -> None:
    training = slowly((4, 7.5), (1, 9.5), (9, 11))
    assert training.effective == pytest.approx(3.75 + 2 + 0.5)
    same = slowly((1, 2), (9, 3.5), (4, 11))
    assert same.accuracy == pytest.approx(training.accuracy), "the order does not matter"
    before = training.accuracy
    training.crew(Crew((12,)))
    assert training.accuracy == before


def test_slow_epochs_add_up_however_they_are_cut() -> None:
    cut = Converging(SLOW, Usl(), 10.0, 3)
    cut.crew(Crew((3,)))
    for _ in range(3):
        for share in (0.1, 0.25, 0.15, 0.5):
            cut.advance(share)
    whole = slowly((3, 3))
    assert cut.over and cut.effective == pytest.approx(whole.effective)
    assert cut.reported == pytest.approx(whole.reported)


def test_one_worker_is_not_slowed() -> None:
    assert slowly((1, 20)).reported == trained(1, 20).reported


def test_a_lost_slow_epoch_is_lost_with_what_it_was_worth() -> None:
    training = slowly((4, 6), (1, 7.4))
    training.back_to(6.9)
    assert (training.done, training.effective) == (6.0, pytest.approx(3))


def test_the_same_seed_trains_the_same_slowly() -> None:
    world = replace(PAPER, shard=0.0, slowness=0.5)
    first, second = (
        run(Fair(), TWELVE_NODES, images(TWELVE_NODES, 3, stop_at(1e-3), world), 3) for _ in range(2)
    )
    assert first == second
    quick = run(Fair(), TWELVE_NODES, images(TWELVE_NODES, 3, stop_at(1e-3), replace(world, slowness=0.0)), 3)
    assert first.makespan > quick.makespan and first.accuracy < quick.accuracy


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
    with pytest.raises(BadCurve):
        AccuracyCurve(0.9, 0.8, 1.0, slowness=-0.1)
    with pytest.raises(BadSetting):
        Converging(CURVE, Usl(), 0.0, 1)
    with pytest.raises(BadSetting):
        Converging(CURVE, Usl(), 1.0, 0)
