"""Shares follow speed, keep still for little, and leave nobody out."""

from __future__ import annotations

import random

import pytest

from trainmaster.train.sampler import split
from trainmaster.train.shares import LEAST, Shares, fixed_cost


def after(
    steps: int, slowness: list[float], fixed: float = 0.0, last: int = 1000, noise: float = 0.0
) -> Shares:
    """Shares after steps of 1000 samples, every tenth of `last`."""
    shares, draw = Shares(len(slowness)), random.Random(0)
    for step in range(steps):
        counts = split(last if step % 10 == 9 else 1000, shares.weights)
        shares.add(
            counts,
            [
                (fixed + count * slow) * (1 + noise * draw.random())
                for count, slow in zip(counts, slowness, strict=True)
            ],
        )
    return shares


@pytest.mark.parametrize("last", [1000, 37])
def test_shares_are_in_proportion_to_speed(last: int) -> None:
    assert after(30, [1.0, 1.0, 2.0, 4.0], last=last).weights == pytest.approx(
        [4 / 11, 4 / 11, 2 / 11, 1 / 11], rel=0.02
    )


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_a_fixed_cost_is_told_from_that_of_samples(noise: float) -> None:
    # (T − 200)/1 + (T − 200)/3 = 1000: 750 and 250 samples; by time per sample alone it would be 718 and 282
    shares = after(60, [1.0, 3.0], fixed=200.0, noise=noise)
    assert shares.weights == pytest.approx([0.75, 0.25], abs=0.03)


def test_little_differences_change_nothing() -> None:
    assert after(20, [1.0, 1.04]).weights == [0.5, 0.5]
    assert after(40, [1.0, 1.0], fixed=300.0, last=37, noise=0.04).weights == [0.5, 0.5]


def test_steps_that_scatter_move_nothing() -> None:
    for steps in range(60, 400, 20):
        assert after(steps, [1.0, 1.0], noise=0.4).weights == pytest.approx([0.5, 0.5], abs=0.01)


def test_the_slowest_keeps_a_minimum_and_the_rest_adds_up() -> None:
    weights = after(30, [1.0, 1.0, 1000.0]).weights
    assert weights[2] == pytest.approx(LEAST / 3, rel=0.1)
    assert sum(weights) == pytest.approx(1.0) and weights[0] == pytest.approx(weights[1])


def test_the_fit_is_never_negative_and_leaves_something_to_the_samples() -> None:
    assert fixed_cost([(10, 1.0), (20, 3.0)], before=0.0) == 0.0
    assert fixed_cost([(10, 3.0), (20, 2.0)], before=0.0) == pytest.approx(1.8)  # falling: all would be fixed
    assert fixed_cost([(10, 3.0), (20, 4.0)], before=0.0) == pytest.approx(2.0)
    assert fixed_cost([(10, 3.0), (10, 4.0)], before=1.0) == 1.0


def test_a_step_without_samples_says_nothing() -> None:
    shares = Shares(2)
    assert not any(shares.add([1, 0], [1.0, 0.0]) for _ in range(20))
