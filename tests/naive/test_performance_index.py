"""The performance index against its equations written out over the whole history."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainmaster.domain.performance_index import PerformanceIndex

samples = st.lists(st.floats(0, 1e9), min_size=1, max_size=40)
windows = st.integers(1, 12)
weights = st.floats(0, 1)


def by_the_paper(d: list[float], m: int, alpha: float) -> float:
    """Equations 1 and 2 for the last of the samples d_1 … d_n."""
    n = len(d)
    if n < m + 1:
        return d[-1]
    return alpha * sum(d[n - 1 - m : n - 1]) / m + (1 - alpha) * d[-1]


@given(samples, windows, weights)
def test_equals_the_equations_at_every_sample(d: list[float], m: int, alpha: float) -> None:
    index = PerformanceIndex(m, alpha)
    for n in range(1, len(d) + 1):
        assert index.add(d[n - 1]) == pytest.approx(by_the_paper(d[:n], m, alpha), rel=1e-12, abs=1e-9)
        assert index.value is not None


@given(samples, windows, weights)
def test_stays_within_the_samples_it_comes_from(d: list[float], m: int, alpha: float) -> None:
    index = PerformanceIndex(m, alpha)
    for n in range(1, len(d) + 1):
        seen = d[max(n - 1 - m, 0) : n]
        value = index.add(d[n - 1])
        assert min(seen) * (1 - 1e-12) <= value <= max(seen) * (1 + 1e-12)


@given(samples, windows, weights, st.floats(1.01, 100))
def test_a_machine_that_is_k_times_as_fast_has_k_times_the_index(
    d: list[float], m: int, alpha: float, k: float
) -> None:
    slow, fast = PerformanceIndex(m, alpha), PerformanceIndex(m, alpha)
    for sample in d:
        assert fast.add(k * sample) == pytest.approx(k * slow.add(sample), rel=1e-9, abs=1e-6)


@given(samples, windows, weights, st.floats(0, 1e9))
def test_forgets_what_lies_before_the_window(d: list[float], m: int, alpha: float, level: float) -> None:
    index = PerformanceIndex(m, alpha)
    for sample in [*d, *[level] * (m + 1)]:
        index.add(sample)
    assert index.value == pytest.approx(level, rel=1e-12)


@pytest.mark.parametrize("sample", [-1.0, math.nan, math.inf])
def test_refuses_what_is_no_speed(sample: float) -> None:
    index = PerformanceIndex()
    with pytest.raises(ValueError, match="finite"):
        index.add(sample)
    assert index.value is None


@pytest.mark.parametrize(("window", "alpha"), [(0, 0.5), (3, -0.1), (3, 1.1)])
def test_refuses_impossible_settings(window: int, alpha: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        PerformanceIndex(window, alpha)
