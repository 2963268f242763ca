"""How much faster more workers are."""

from __future__ import annotations

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


class Scaling(Length):
    """A task of so many seconds for one worker; more make it faster."""

    __slots__ = ("_workers", "speed")

    def __init__(self, seconds: float, speed: Speed) -> None:
        super().__init__(seconds)
        self.speed = speed
        self._workers = 1

    def crew(self, crew: Crew) -> None:
        super().crew(crew)
        self._workers = crew.workers

    def rate(self) -> float:
        return super().rate() * self.speed.rate(self._workers)

    def metrics(self) -> Mapping[str, float]:
        return {"samples_s": self.rate()}

    def known(self, most: int) -> Foreknowledge | None:
        return Foreknowledge(tuple(self.speed.rate(w) for w in range(1, most + 1)), self.ahead())
