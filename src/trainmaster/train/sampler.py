"""Which samples a step trains on: a pure function of (seed, epoch, part, step), however many train."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch


def steps(size: int, batch: int) -> int:
    """Steps of one pass over `size` samples; the last may be smaller."""
    return -(-size // batch)


def global_batch(seed: int, epoch: int, part: int, index: int, size: int, batch: int) -> torch.Tensor:
    """Indices of the samples of step `index`, an int64 vector of at most `batch`."""
    return _order(seed, epoch, part, size)[index * batch : (index + 1) * batch]


def split(count: int, weights: Sequence[float]) -> list[int]:
    """Divide `count` samples in proportion to `weights` (≥ 0, not all 0) into whole numbers.

    Largest remainders first; of equal ones the earlier member's.
    """
    total = sum(weights)
    exact = [count * weight / total for weight in weights]
    parts = [int(value) for value in exact]
    by_remainder = sorted(range(len(parts)), key=lambda at: (parts[at] - exact[at], at))
    for at in by_remainder[: count - sum(parts)]:
        parts[at] += 1
    return parts


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, part: int, size: int) -> torch.Tensor:
    mixed = (seed * 1_000_003 + epoch) * 1_009 + part
    return torch.randperm(size, generator=torch.Generator().manual_seed(mixed % 2**63))
