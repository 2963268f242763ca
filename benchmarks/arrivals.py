"""A seeded stream of tasks of several kinds."""

from __future__ import annotations

import random
from collections.abc import Iterable


def arrivals(seed: int, each: int, kinds: Iterable[int], every_s: float) -> list[tuple[float, int]]:
    """When which kind is submitted: exponential gaps of mean `every_s`, `each` of every kind, shuffled."""
    chance = random.Random(seed)
    order = [kind for kind in kinds for _ in range(each)]
    chance.shuffle(order)
    at, stream = 0.0, []
    for kind in order:
        stream.append((at, kind))
        at += chance.expovariate(1 / every_s)
    return stream
