"""How much faster more workers are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from trainmaster.policies.base import Foreknowledge
from trainmaster.simulator.errors import BadSetting
from trainmaster.simulator.training import Crew, Length


class Speed(Protocol):
    def rate(self, workers: int) -> float:
        """Speed with so many workers, 1 with one."""
        ...


@dataclass(frozen=True, slots=True)
class Usl:
    """The universal scalability law (Gunther 1993): w / (1 + σ(w − 1) + κ·w·(w − 1)).

    σ: the share that is serial (κ = 0 is Amdahl's law); κ: what workers cost each other.
    """

    serial: float = 0.0
    crosstalk: float = 0.0

    def __post_init__(self) -> None:
        for name in ("serial", "crosstalk"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadSetting(name, getattr(self, name), "between 0 and 1")

    def rate(self, workers: int) -> float:
        more = workers - 1
        return workers / (1 + self.serial * more + self.crosstalk * workers * more)


@dataclass(frozen=True, slots=True)
class Measured:
    """Speeds that were measured or fitted: `rates[w - 1]` with w workers, positive, in any one unit. More
    workers than there are rates are as fast as the last."""

    rates: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.rates or not all(0 < rate < math.inf for rate in self.rates):
            raise BadSetting("rates", self.rates, "one or more positive numbers")

    def rate(self, workers: int) -> float:
        return self.rates[min(workers, len(self.rates)) - 1] / self.rates[0]


class Scaling(Length):
    """A task of so many seconds for one worker; more make it faster. Spread over several clusters of nodes it
    is `across` times as fast (0..1) as within one."""

    __slots__ = ("_across", "_workers", "across", "speed")

    def __init__(self, seconds: float, speed: Speed, resumes: bool = True, across: float = 1.0) -> None:
        super().__init__(seconds, resumes)
        if not 0 < across <= 1:
            raise BadSetting("across", across, "above 0 and at most 1")
        self.speed, self.across = speed, across
        self._workers, self._across = 1, 1.0

    def crew(self, crew: Crew) -> None:
        super().crew(crew)
        self._workers = crew.workers
        self._across = self.across if crew.clusters > 1 else 1.0

    def rate(self) -> float:
        return super().rate() * self._across * self.speed.rate(self._workers)

    def metrics(self) -> Mapping[str, float]:
        return {"samples_s": self.rate()}

    def known(self, most: int) -> Foreknowledge | None:
        return Foreknowledge(tuple(self.speed.rate(w) for w in range(1, most + 1)), self.ahead())
