"""Whether training still gains anything, judged by one validation metric with one value an epoch.

A rule is a pure function of all values so far, so every worker, a joiner and a resumed attempt come to the
same verdict. Values should be of held-out data: the training set's own are too good, and choosing by the test
set spoils it.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from trainmaster.train.errors import WrongUse

_FALLING = ("loss", "error", "perplexity")  # ends of names of metrics that are better when smaller
_LAST = 4  # values whose spread counts


class Phase(StrEnum):
    """What is told to the scheduler."""

    TRAINING = "training"
    PLATEAU = "plateau"  # little is gained: workers are worth more elsewhere
    FINISHED = "finished"  # nothing is gained: training ends


class Rule(Protocol):
    """`metric` names the metric of `t.report`; `ends` says whether FINISHED ends training."""

    @property
    def metric(self) -> str: ...

    @property
    def ends(self) -> bool: ...

    def phase(self, values: Sequence[float]) -> Phase:
        """The verdict on finite values, oldest first, one an epoch."""


@dataclass(frozen=True, slots=True)
class Smoothed:
    """Plateau and end of an exponentially smoothed metric.

    Plateau: the smoothed value (weight `newest` on the newest) gained less than `gain` in two epochs running.
    Finished: a plateau, and the standard deviation of the last four values is below `gain` too (as Ray Tune
    does); or for `patience` epochs no smoothed value was better than the best before. Metrics whose names end
    in loss, error or perplexity gain by falling, and are measured relative to their smoothed value; others by
    rising, in their own unit. Measured in docs/results/elastic.md.
    """

    metric: str = "val_accuracy"
    gain: float = 1e-3
    newest: float = 0.3
    patience: int = 10
    ends: bool = True

    def __post_init__(self) -> None:
        if not self.gain > 0 or not 0 < self.newest <= 1 or self.patience < 1:
            raise WrongUse(f"gain > 0, 0 < newest <= 1 and patience >= 1 are needed, not {self}")

    def phase(self, values: Sequence[float]) -> Phase:
        smooth = self._smooth(values)
        gains = [self._gain(before, after) for before, after in itertools.pairwise(smooth)]
        if len(gains) < 2 or max(gains[-2:]) >= self.gain:
            return Phase.TRAINING
        spread = statistics.pstdev(values[-_LAST:])
        scale = abs(smooth[-1]) if falls(self.metric) else 1.0
        still = len(values) >= _LAST and spread <= self.gain * scale
        best = smooth.index(min(smooth) if falls(self.metric) else max(smooth))
        if still or len(smooth) - 1 - best >= self.patience:
            return Phase.FINISHED
        return Phase.PLATEAU

    def _smooth(self, values: Sequence[float]) -> list[float]:
        def blend(before: float, value: float) -> float:
            return (1 - self.newest) * before + self.newest * value

        return list(itertools.accumulate(values, blend))

    def _gain(self, before: float, after: float) -> float:
        if falls(self.metric):
            return (before - after) / abs(before) if before else 0.0
        return after - before


@dataclass(frozen=True, slots=True)
class RawBeta:
    """RLPTO's rule: workers go as soon as the metric's increase over one epoch is below β.

    Plateau: the last increase is below `beta` (algorithm 1, line 25, and equation 5). Finished: the last
    change, up or down, is below `beta` in size: our reading of the paper's "little improvement", as it puts
    no number to convergence. A single difference fires on noise: `Smoothed` is the
    better rule. The paper recommends β from 0.0001 to 0.0003.
    """

    beta: float = 1e-4
    metric: str = "val_accuracy"
    ends: bool = True

    def phase(self, values: Sequence[float]) -> Phase:
        if len(values) < 2:
            return Phase.TRAINING
        increase = values[-1] - values[-2]
        if falls(self.metric):
            increase = -increase
        if abs(increase) < self.beta:
            return Phase.FINISHED
        return Phase.PLATEAU if increase < self.beta else Phase.TRAINING


@dataclass(slots=True)
class Progress:
    """What has been seen of the metric, as state that travels with the model."""

    rule: Rule | None
    values: list[float] = field(default_factory=list)
    stopped: bool = False  # a worker called `stop`

    def add(self, metrics: Mapping[str, float]) -> None:
        """Take in an epoch's metrics, the same on every worker. What is not finite is left out."""
        value = metrics.get(self.rule.metric) if self.rule is not None else None
        if value is not None and math.isfinite(value):
            self.values.append(value)

    @property
    def phase(self) -> Phase:
        if self.rule is None:
            return Phase.TRAINING
        phase = self.rule.phase(self.values)
        return Phase.PLATEAU if phase is Phase.FINISHED and not self.rule.ends else phase

    @property
    def over(self) -> bool:
        """No further epoch is to be trained."""
        return self.stopped or self.phase is Phase.FINISHED

    def dump(self) -> dict[str, Any]:
        return {"values": self.values, "stopped": self.stopped}

    def load(self, saved: Mapping[str, Any]) -> None:
        self.values, self.stopped = list(saved["values"]), bool(saved["stopped"])


def falls(metric: str) -> bool:
    """Whether less of the metric is better."""
    return metric.endswith(_FALLING)
