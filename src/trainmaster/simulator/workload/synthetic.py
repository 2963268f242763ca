"""Seeded arrivals: Poisson, with heavy-tailed lengths."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from trainmaster.domain.chance import uniform
from trainmaster.domain.task import Elasticity, TaskSpec
from trainmaster.domain.units import Resources
from trainmaster.simulator.errors import BadSetting
from trainmaster.simulator.loop import Arrival
from trainmaster.simulator.speed import Scaling, Usl
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


@dataclass(frozen=True, slots=True)
class Elastic:
    """Tasks of `least` to `most` workers, whose speed follows Amdahl's law with the share `serial`; spread
    over clusters they are `across` times as fast. Their lengths are those with one worker."""

    least: int = 1
    most: int = 1
    elasticity: Elasticity = Elasticity.AUTO
    serial: float = 0.05
    across: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise BadSetting("workers", f"{self.least}..{self.most}", "MIN..MAX, at least 1")


def synthetic(
    count: int,
    every_s: float,
    lengths: Lengths,
    seed: int,
    gpus: Sequence[int] = (1,),
    elastic: Elastic | None = None,
) -> Iterator[Arrival]:
    """`count` tasks, `every_s` seconds apart in the mean, with one of `gpus` GPUs for each worker: one worker
    each, or as `elastic` says."""
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
        if elastic is None:
            yield Arrival(time, spec, Length(length))
        else:
            speed = Usl(elastic.serial)
            spec = replace(
                spec,
                min_workers=elastic.least,
                max_workers=elastic.most,
                elasticity=elastic.elasticity,
                estimate_s=length / speed.rate(elastic.least),
            )
            yield Arrival(time, spec, Scaling(length, speed, across=elastic.across))
