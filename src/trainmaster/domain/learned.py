"""What has been seen of a task's training: its leader's reports, and its speed by worker count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from trainmaster.domain.replacing import quick, replacer

MAX_POINTS = 256
_OLD = 0.7  # weight of what was known of a speed; the newest measurement has the rest


class Phase(StrEnum):
    """What the training says of its own progress."""

    NONE = ""
    PLATEAU = "plateau"  # little is gained any more: the scheduler may shrink it
    FINISHED = "finished"  # nothing is gained any more: it is about to end


@quick
@dataclass(frozen=True, slots=True)
class Point:
    """One report. Metrics by their conventional names; None where the report did not have them.

    `step` counts optimizer steps (or what the program counts), `epoch` passes over the data, `rate` is in
    samples per second over all workers.
    """

    time: float
    step: float
    workers: int
    epoch: float | None = None
    loss: float | None = None
    accuracy: float | None = None
    rate: float | None = None


@quick
@dataclass(frozen=True, slots=True)
class Speed:
    """Samples per second (or steps, where no rate is reported) with so many workers, smoothed."""

    workers: int
    rate: float
    reports: int


@dataclass(frozen=True, slots=True)
class Learned:
    """Everything in order of time; at most MAX_POINTS points, of which every second old one is dropped first.

    `resized_at`: when the worker count last changed, None if never; `resizes`: how often it has; `pause_s`:
    seconds of training that restarting for it cost, smoothed, None if never measured.
    """

    points: tuple[Point, ...] = ()
    speeds: tuple[Speed, ...] = ()
    phase: Phase = Phase.NONE
    resized_at: float | None = None
    resizes: int = 0
    pause_s: float | None = None

    def speed(self, workers: int) -> float | None:
        """The measured rate with exactly so many workers."""
        return next((speed.rate for speed in self.speeds if speed.workers == workers), None)


NOTHING_LEARNED = Learned()
renewed = replacer(Learned)


def learn(learned: Learned, time: float, step: float, workers: int, metrics: Mapping[str, float]) -> Learned:
    """Take in one report. `accuracy` prefers `val_accuracy`, `loss` prefers `val_loss`, where both are there.

    Without `samples_s` the rate is steps per second since the last report with the same worker count.
    """
    rate = metrics.get("samples_s")
    last = learned.points[-1] if learned.points else None
    if (
        rate is None
        and last is not None
        and last.workers == workers
        and time > last.time
        and step > last.step
    ):
        rate = (step - last.step) / (time - last.time)
    point = Point(
        time,
        step,
        workers,
        metrics.get("epoch"),
        metrics.get("val_loss", metrics.get("loss")),
        metrics.get("val_accuracy", metrics.get("accuracy")),
        rate,
    )
    points = (*learned.points, point)
    if len(points) > MAX_POINTS:
        half = len(points) // 2
        points = points[:half:2] + points[half:]
    return renewed(learned, points=points, speeds=_faster(learned.speeds, workers, rate))


def paused(learned: Learned, seconds: float) -> Learned:
    """Take in how long a restart for a resize took, from the order to training again."""
    before = learned.pause_s
    return renewed(learned, pause_s=seconds if before is None else _OLD * before + (1 - _OLD) * seconds)


def _faster(speeds: tuple[Speed, ...], workers: int, rate: float | None) -> tuple[Speed, ...]:
    if rate is None or rate <= 0 or workers < 1:  # 0: who reports has been given up meanwhile
        return speeds
    known = {speed.workers: speed for speed in speeds}
    before = known.get(workers)
    if before is None:
        known[workers] = Speed(workers, rate, 1)
    else:
        known[workers] = Speed(workers, _OLD * before.rate + (1 - _OLD) * rate, before.reports + 1)
    return tuple(known[count] for count in sorted(known))
