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
    """Accuracy (0..1) = ceiling − scale · (e + e₀)^(−power) − d after e epochs of one worker; e₀: it begins
    at `start`.

    What training in parts costs, where each of w workers learns from its own part of the data, has two forms.
    Slowness: an epoch of w workers is worth w^(−slowness) of one worker's. Real gradients say so
    (docs/results/rlpto-live.md); 0 is no cost, and with 1 more workers gain no time.
    Offset, to which the RLPTO paper's tables are calibrated: d tends to shard · (w − 1), all but 1/e of the
    way in `wear` epochs where it grows and in `settle` where it falls.
    """

    ceiling: float
    scale: float
    power: float
    shard: float = 0.0
    slowness: float = 0.0
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
        if not 0 <= self.slowness < math.inf:
            raise BadCurve("accuracy", f"slowness must be a number of 0 or more: {self.slowness}")

    def worth(self, workers: int) -> float:
        """An epoch of so many workers, in epochs of one; at most 1."""
        return float(workers**-self.slowness)

    def at(self, epochs: float, cost: float) -> float:
        """Accuracy after so many epochs of one worker with `cost` = d."""
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
        "_cost", "_crew", "_done", "_lag", "_past", "curve", "epoch_s", "epochs", "noise", "reported",
        "samples", "speed", "stop", "stopped",
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
        self._cost = 0.0  # what training in parts costs now: accuracy,
        self._lag = 0.0  # and epochs
        self._past: list[tuple[float, float]] = []  # both after each epoch
        self.reported: list[float] = []
        self.stopped = False

    @property
    def done(self) -> float:
        return self._done

    @property
    def effective(self) -> float:
        """Epochs in which one worker would have learnt as much."""
        return self._done - self._lag

    @property
    def accuracy(self) -> float:
        """The true accuracy, without noise."""
        return self.curve.at(self.effective, self._cost)

    def crew(self, crew: Crew) -> None:
        self._crew = crew

    def rate(self) -> float:
        return self._crew.pace * self.speed.rate(self._crew.workers) / self.epoch_s

    def ahead(self) -> float:
        return len(self._past) + 1 - self._done

    def advance(self, progress: float) -> None:
        workers = self._crew.workers
        self._cost = self.curve.cost(self._cost, workers, progress)
        self._lag += progress * (1 - self.curve.worth(workers))
        self._done += progress
        epoch = len(self._past)
        if self._done >= (epoch + 1) * (1 - 1e-12):
            self._done = epoch + 1.0
            self._past.append((self._cost, self._lag))
            self.reported.append(self.accuracy + (self.noise[epoch] if epoch < len(self.noise) else 0.0))
            self.stopped = self.stop is not None and self.stop(self.reported)

    def back_to(self, done: float) -> None:
        """To the end of the last whole epoch before `done`, as checkpoints are written there."""
        whole = int(done)
        self._done = float(whole)
        del self._past[whole:], self.reported[whole:]
        self._cost, self._lag = self._past[-1] if self._past else (0.0, 0.0)
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
