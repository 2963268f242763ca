"""What a simulated task does between its start and its end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from trainmaster.policies.base import Foreknowledge
from trainmaster.simulator.errors import BadSetting


@dataclass(frozen=True, slots=True)
class Crew:
    """The workers that train: how many on each node (no zeros) and the relative speed of the slowest one.

    `pace` is 1 for a node as fast as the one the curves were measured on; `clusters`: over how many clusters
    of nodes they are spread.
    """

    shape: tuple[int, ...]
    pace: float = 1.0
    clusters: int = 1

    @property
    def workers(self) -> int:
        return sum(self.shape)


class Training(Protocol):
    """One task's work. Progress is in units of its own; between two milestones its rate does not change."""

    @property
    def done(self) -> float:
        """Progress so far."""
        ...

    def crew(self, crew: Crew) -> None:
        """These workers train from here on."""
        ...

    def rate(self) -> float:
        """Progress per second with the present crew at the present stage; positive."""
        ...

    def ahead(self) -> float:
        """Progress to the next milestone: the end of a stage or the end of all. Positive until `over`."""
        ...

    def advance(self, progress: float) -> None:
        """Go on by at most `ahead()`."""
        ...

    def back_to(self, done: float) -> None:
        """Lose everything after `done`, as a restart from a checkpoint does."""
        ...

    @property
    def over(self) -> bool: ...

    @property
    def resumes(self) -> bool:
        """A later attempt goes on from the last checkpoint; False: it begins anew."""
        ...

    def metrics(self) -> Mapping[str, float]:
        """What its leader would report now."""
        ...

    def known(self, most: int) -> Foreknowledge | None:
        """The truth, for policies labelled as knowing it; rates for 1..most workers."""
        ...


class Length:
    """A task that takes so many seconds however it is placed: a row of a log of rigid jobs."""

    __slots__ = ("_done", "_pace", "resumes", "seconds")

    def __init__(self, seconds: float, resumes: bool = True) -> None:
        if not 0 < seconds < math.inf:
            raise BadSetting("seconds", seconds, "a positive number")
        self.seconds = seconds
        self.resumes = resumes
        self._done = 0.0
        self._pace = 1.0

    @property
    def done(self) -> float:
        return self._done

    def crew(self, crew: Crew) -> None:
        self._pace = crew.pace

    def rate(self) -> float:
        return self._pace

    def ahead(self) -> float:
        return self.seconds - self._done

    def advance(self, progress: float) -> None:
        self._done = min(self._done + progress, self.seconds)

    def back_to(self, done: float) -> None:
        self._done = done

    @property
    def over(self) -> bool:
        return self._done >= self.seconds

    def metrics(self) -> Mapping[str, float]:
        return {}

    def known(self, most: int) -> Foreknowledge | None:
        return Foreknowledge((1.0,) * most, self.seconds - self._done)
