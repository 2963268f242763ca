"""Table V of the RLPTO paper: what a task is worth by its priority, and the reward over time."""

from __future__ import annotations

from collections.abc import Sequence

# Levels 1 to 3 are normal, 4 the highest, 5 urgent. "The award of the highest-priority task was 80 points,
# and other tasks were given 10 to 40": which of 10 to 40 is our reading.
POINTS = {1: 10, 2: 20, 3: 30, 4: 80, 5: 40}
# Combination 2 is said to have four of priority 4; its sequence has two. Sequences are taken as printed.
COMBINATIONS: tuple[tuple[int, ...], ...] = (
    (1, 2, 2, 3, 1, 2, 1, 3, 1, 1, 1, 3),
    (2, 3, 1, 4, 1, 2, 2, 1, 4, 1, 1, 3),
    (1, 4, 2, 3, 1, 4, 4, 3, 4, 4, 1, 4),
    (1, 4, 4, 3, 1, 2, 5, 3, 4, 4, 5, 1),
)
HORIZON_S = 7200.0  # "the training time for this experiment is 120 minutes"
EVERY_S = 1000.0  # the reward is recorded


def reward_at(time: float, ends: Sequence[tuple[float, int]]) -> float:
    """Points of all tasks done by then; `ends`: (when, level)."""
    return float(sum(POINTS[level] for when, level in ends if when <= time))


def area(ends: Sequence[tuple[float, int]], horizon: float = HORIZON_S) -> float:
    """The mean over time, from 0 to the horizon, of the reward gained so far: points."""
    return sum(POINTS[level] * max(horizon - when, 0.0) for when, level in ends) / horizon
