"""The fits of speeds and losses against a general solver of non-negative least squares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import nnls

from trainmaster.domain.learned import Point
from trainmaster.policies.allotment.estimates import _loss_curve, least_squares

counts = st.lists(st.integers(1, 64), min_size=2, max_size=8, unique=True)


@given(workers=counts, data=st.data())
def test_the_fit_is_as_good_as_the_solver_s(workers: list[int], data: st.DataObject) -> None:
    seconds = [data.draw(st.floats(0.01, 10.0)) for _ in workers]
    weight = [data.draw(st.floats(0.5, 3.0)) / each for each in seconds]
    terms = [(w, w / count, w * (count - 1)) for count, w in zip(workers, weight, strict=True)]
    targets = [w * each for w, each in zip(weight, seconds, strict=True)]
    found = np.array(least_squares(list(zip(terms, targets, strict=True))))
    assert (found >= 0).all()
    solved, norm = nnls(np.array(terms), np.array(targets))
    assume(solved[0] + solved[1] > 1e-6)  # else one worker would take no time at all, which we never say
    mine = float(np.linalg.norm(np.array(terms) @ found - targets))
    assert mine <= norm + 1e-5 * float(np.linalg.norm(targets)) + 1e-9


def test_what_the_model_says_is_found_again() -> None:
    for a, b, c in ((0.1, 1.0, 0.01), (0.0, 2.0, 0.05), (0.3, 0.5, 0.0)):
        rows = [((1.0, 1 / w, w - 1.0), a + b / w + c * (w - 1)) for w in (1, 2, 3, 5, 8)]
        assert least_squares(rows) == pytest.approx((a, b, c), abs=1e-9)
    two = [((1.0, 1 / w, w - 1.0), 0.1 + 0.9 / w) for w in (1, 4)]
    assert least_squares(two) == pytest.approx((0.1, 0.9, 0.0)), "of equally good ones Amdahl's law"


def error_of(points: list[Point], slope: float, start: float, floor: float) -> float:
    steps, losses = np.array([p.step for p in points]), np.array([p.loss for p in points])
    weight = np.repeat([1.0, 4.0, 16.0], -(-len(points) // 3))[: len(points)]
    return float(np.sum(weight * (1 / (slope * steps + start) + floor - losses) ** 2))


def looked_for(points: list[Point]) -> float | None:
    """The least error, floor by floor with the general solver."""
    steps, losses = np.array([p.step for p in points]), np.array([p.loss for p in points])
    weight = np.repeat([1.0, 4.0, 16.0], -(-len(points) // 3))[: len(points)]
    errors = []
    for share in (0.0, 0.25, 0.5, 0.75, 0.9, 0.97, 0.99):
        floor = share * losses.min()
        terms = np.column_stack([steps, np.ones_like(steps)])
        (slope, start), _ = nnls(terms * weight[:, None], weight / (losses - floor))
        if (slope * steps + start > 0).all():
            errors.append(error_of(points, slope, start, floor))
    return min(errors, default=None)


@given(
    first=st.floats(0.1, 10.0), falls=st.lists(st.floats(0.6, 1.1), min_size=3, max_size=40),
    gap=st.floats(1, 1e4),
)  # fmt: skip
def test_the_loss_curve_is_as_good_as_the_solver_s(first: float, falls: list[float], gap: float) -> None:
    losses = np.cumprod([first, *falls]).tolist()
    points = [Point(gap * at, gap * (at + 1), 1, loss=loss) for at, loss in enumerate(losses)]
    mine, other = _loss_curve(tuple(points)), looked_for(points)
    assert (mine is None) == (other is None)
    if mine is not None and other is not None:
        assert error_of(points, *mine) <= other * (1 + 1e-6) + 1e-12 * max(losses) ** 2
