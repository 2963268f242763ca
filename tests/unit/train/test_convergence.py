"""The rules on recorded validation accuracy: MNIST and Fashion-MNIST, 25 epochs, 1 to 3 hidden layers."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean

import pytest

from trainmaster.train.convergence import Phase, Progress, RawBeta, Rule, Smoothed
from trainmaster.train.errors import WrongUse

CURVES: dict[str, list[float]] = json.loads((Path(__file__).parent / "curves.json").read_text())


def first(rule: Rule, values: list[float], phases: set[Phase]) -> int:
    """Epochs until a phase is reached, all of them if it never is."""
    for epochs in range(1, len(values) + 1):
        if rule.phase(values[:epochs]) in phases:
            return epochs
    return len(values)


def given_up(rule: Rule, values: list[float], phases: set[Phase]) -> float:
    """Accuracy that would still have come, in points."""
    return 100 * (max(values) - max(values[: first(rule, values, phases)]))


ANY = {Phase.PLATEAU, Phase.FINISHED}
END = {Phase.FINISHED}


def test_the_plateau_gives_up_less_than_the_raw_rule_and_comes_before_the_end() -> None:
    smoothed, raw = Smoothed(), RawBeta()
    assert mean(given_up(smoothed, one, ANY) for one in CURVES.values()) < 0.5
    assert mean(given_up(smoothed, one, ANY) for one in CURVES.values()) < mean(
        given_up(raw, one, ANY) for one in CURVES.values()
    )
    assert all(first(smoothed, one, ANY) <= first(smoothed, one, END) for one in CURVES.values())


def test_the_end_gives_up_little() -> None:
    assert max(given_up(Smoothed(), one, END) for one in CURVES.values()) < 0.4


def test_a_larger_beta_ends_earlier() -> None:
    epochs = [mean(first(RawBeta(beta), one, END) for one in CURVES.values()) for beta in (3e-5, 3e-4, 3e-3)]
    assert epochs == sorted(epochs, reverse=True) and epochs[0] > epochs[-1]


def test_too_few_values_say_nothing() -> None:
    assert Smoothed().phase([]) is Smoothed().phase([0.9, 0.9]) is Phase.TRAINING
    assert RawBeta().phase([]) is RawBeta().phase([0.9]) is Phase.TRAINING


def test_beta_is_of_the_last_increase_alone() -> None:
    assert RawBeta(1e-3).phase([0.5, 0.6]) is Phase.TRAINING
    assert RawBeta(1e-3).phase([0.5, 0.6, 0.55]) is Phase.PLATEAU
    assert RawBeta(1e-3).phase([0.5, 0.6, 0.6005]) is Phase.FINISHED


def test_a_loss_gains_by_falling_and_in_proportion() -> None:
    rule = Smoothed(metric="val_loss", gain=0.01)
    falling = [100 * 0.9**epoch for epoch in range(30)]
    assert rule.phase(falling) is Phase.TRAINING
    assert rule.phase([value / 1e6 for value in falling]) is Phase.TRAINING
    assert rule.phase([*falling, *[falling[-1]] * 20]) is Phase.FINISHED


def test_a_metric_that_gets_worse_ends_after_patience() -> None:
    worse = [0.9 - 0.01 * epoch for epoch in range(11)]
    assert Smoothed().phase(worse[:10]) is Phase.PLATEAU
    assert Smoothed().phase(worse) is Phase.FINISHED


def test_values_that_are_no_numbers_are_left_out() -> None:
    progress = Progress(Smoothed())
    for value in (0.5, float("nan"), float("inf")):
        progress.add({"val_accuracy": value, "loss": 1.0})
    progress.add({"loss": 1.0})
    assert progress.values == [0.5]


def test_a_rule_may_only_tell() -> None:
    progress = Progress(Smoothed(ends=False), [0.9] * 10)
    assert progress.phase is Phase.PLATEAU and not progress.over
    assert Progress(Smoothed(), [0.9] * 10).over and not Progress(None, [0.9] * 10).over


def test_settings_without_sense_are_refused() -> None:
    with pytest.raises(WrongUse):
        Smoothed(gain=0)
    with pytest.raises(WrongUse):
        Smoothed(newest=0)
