"""Seeded arrivals: Poisson, with heavy-tailed lengths."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trainmaster.domain.chance import uniform
from trainmaster.domain.task import TaskSpec
from trainmaster.domain.units import Resources
from trainmaster.simulator.errors import BadSetting
from trainmaster.simulator.loop import Arrival
from trainmaster.simulator.training import Length


@dataclass(frozen=True, slots=True)
class Lengths:
    """Log-normal seconds: half of all tasks are shorter than `median_s`; `spread` is the deviation of the
    log."""

    median_s: float = 60.0
    spread: float = 1.0

    def draw(self, seed: int, number: int) -> float:
        # Box and Muller (1958)
        radius = math.sqrt(-2 * math.log(1 - uniform(seed, number, 1)))
        return self.median_s * math.exp(
            self.spread * radius * math.cos(2 * math.pi * uniform(seed, number, 2))
        )


def synthetic(
    count: int, every_s: float, lengths: Lengths, seed: int, gpus: Sequence[int] = (1,)
) -> Iterator[Arrival]:
    """`count` rigid tasks of one worker, `every_s` seconds apart in the mean, with one of `gpus` GPUs
    each."""
    if not every_s > 0:
        raise BadSetting("every_s", every_s, "a positive number")
    if not gpus or min(gpus) < 1:
        raise BadSetting("gpus", gpus, "one or more counts of at least 1")
    time = 0.0
    for number in range(count):
        time -= every_s * math.log(1 - uniform(seed, number, 0))
        length = lengths.draw(seed, number)
        need = Resources(gpus=gpus[int(uniform(seed, number, 3) * len(gpus))])
        spec = TaskSpec("job", command=("train",), resources=need, estimate_s=length)
        yield Arrival(time, spec, Length(length))
