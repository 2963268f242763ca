"""Training whose accuracy is modelled: more workers are faster, and what they reach together is less."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from trainmaster.policies.base import Foreknowledge
from trainmaster.simulator.errors import BadCurve, BadSetting
from trainmaster.simulator.speed import Speed
from trainmaster.simulator.training import Crew


@dataclass(frozen=True, slots=True)
class AccuracyCurve:
    """Accuracy (0..1) = ceiling − scale · (e + e₀)^(−power) − d after e epochs; e₀: it begins at `start`.

    d is what training in parts costs: each of w workers learns from its own part of the data (the RLPTO
    paper, Figure 9). With w workers it tends to shard · (w − 1), all but 1/e of the way in `wear` epochs
    where it grows and in `settle` where it falls. On real gradients, workers that leave give back what they
    cost within two epochs, and those that join late cost little (docs/results/rlpto.md).
    """

    ceiling: float
    scale: float
    power: float
    shard: float = 0.0
    settle: float = 2.0
    wear: float = 20.0
    start: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.ceiling <= 1:
            raise BadCurve("accuracy", f"must rise from {self.start} to at most 1, not to {self.ceiling}")
        if not (self.scale > 0 and self.power > 0 and self.shard >= 0 and self.settle > 0 < self.wear):
            raise BadCurve(
                "accuracy", f"scale, power and settle must be positive, shard not negative: {self}"
            )

    def at(self, epochs: float, cost: float) -> float:
        """Accuracy after so many epochs with `cost` = d."""
        first = (self.scale / (self.ceiling - self.start)) ** (1 / self.power)
        return max(self.ceiling - self.scale * (epochs + first) ** -self.power - cost, 0.0)

    def cost(self, before: float, workers: int, epochs: float) -> float:
        """d, so many epochs of so many workers after it was `before`."""
        end = self.shard * (workers - 1)
        return end + (before - end) * math.exp(-epochs / (self.settle if before > end else self.wear))


Stop = Callable[[Sequence[float]], bool]


class Converging:
    """A task that trains until `stop` says so of its accuracies (one per epoch), or for `epochs`.

    `epoch_s`: seconds of an epoch with one worker. `noise[e]` is added to what is reported of epoch e, not to
    what was learnt; beyond its end nothing is. The reported loss falls in proportion to the rising accuracy
    (an assumption: what the paper's baselines fit needs one). Progress is in epochs.
    """

    resumes = True  # from its last checkpoint

    __slots__ = (
        "_cost", "_crew", "_done", "_past", "curve", "epoch_s", "epochs", "noise", "reported", "samples",
        "speed", "stop", "stopped",
    )  # fmt: skip

    def __init__(
        self,
        curve: AccuracyCurve,
        speed: Speed,
        epoch_s: float,
        epochs: int,
        stop: Stop | None = None,
        noise: Sequence[float] = (),
        samples: int = 1,
    ) -> None:
        if not 0 < epoch_s < math.inf:
            raise BadSetting("epoch_s", epoch_s, "a positive number of seconds")
        if epochs < 1:
            raise BadSetting("epochs", epochs, "1 or more")
        self.curve, self.speed, self.epoch_s, self.epochs = curve, speed, epoch_s, epochs
        self.stop, self.noise, self.samples = stop, noise, samples
        self._crew = Crew((1,))
        self._done = 0.0
        self._cost = 0.0  # what training in parts costs now
        self._past: list[float] = []  # the same after each epoch
        self.reported: list[float] = []
        self.stopped = False

    @property
    def done(self) -> float:
        return self._done

    @property
    def accuracy(self) -> float:
        """The true accuracy, without noise."""
        return self.curve.at(self._done, self._cost)

    def crew(self, crew: Crew) -> None:
        self._crew = crew

    def rate(self) -> float:
        return self._crew.pace * self.speed.rate(self._crew.workers) / self.epoch_s

    def ahead(self) -> float:
        return len(self._past) + 1 - self._done

    def advance(self, progress: float) -> None:
        self._cost = self.curve.cost(self._cost, self._crew.workers, progress)
        self._done += progress
        epoch = len(self._past)
        if self._done >= (epoch + 1) * (1 - 1e-12):
            self._done = epoch + 1.0
            self._past.append(self._cost)
            self.reported.append(self.accuracy + (self.noise[epoch] if epoch < len(self.noise) else 0.0))
            self.stopped = self.stop is not None and self.stop(self.reported)

    def back_to(self, done: float) -> None:
        """To the end of the last whole epoch before `done`, as checkpoints are written there."""
        whole = int(done)
        self._done = float(whole)
        del self._past[whole:], self.reported[whole:]
        self._cost = self._past[-1] if self._past else 0.0
        self.stopped = False

    @property
    def over(self) -> bool:
        return self.stopped or len(self._past) >= self.epochs

    def metrics(self) -> Mapping[str, float]:
        if not self.reported:
            return {"samples_s": self.rate() * self.samples}
        accuracy = self.reported[-1]
        return {
            "epoch": float(len(self._past)),
            "accuracy": accuracy,
            "loss": 0.3 + 2.5 * (1 - accuracy),
            "samples_s": self.rate() * self.samples,
        }

    def known(self, most: int) -> Foreknowledge | None:
        return None
