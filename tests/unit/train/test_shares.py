"""Shares follow speed, keep still for little, and leave nobody out."""

from __future__ import annotations

import pytest

from trainmaster.train.shares import LEAST, Shares, proportional


def after(steps: int, slowness: list[float]) -> Shares:
    shares = Shares(len(slowness))
    for _ in range(steps):
        counts = [round(1000 * weight) for weight in shares.weights]
        shares.add(counts, [count * slow for count, slow in zip(counts, slowness, strict=True)])
    return shares


def test_shares_are_in_proportion_to_speed() -> None:
    assert after(20, [1.0, 1.0, 2.0, 4.0]).weights == pytest.approx(
        [4 / 11, 4 / 11, 2 / 11, 1 / 11], rel=0.01
    )


def test_little_differences_change_nothing() -> None:
    assert after(20, [1.0, 1.04]).weights == [0.5, 0.5]


def test_the_slowest_keeps_a_minimum() -> None:
    assert min(proportional([1.0, 1e-6])) == pytest.approx(LEAST / 2, rel=0.05)


def test_a_step_without_samples_says_nothing() -> None:
    shares = Shares(2)
    assert not any(shares.add([1, 0], [1.0, 0.0]) for _ in range(20))
