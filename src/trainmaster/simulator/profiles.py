"""Profiled applications: measured step times by placement, measured accuracy and gradient noise by epoch.

The format is that of the Pollux artifact (Qiao et al., OSDI 2021): a folder per application with
placements.csv, scalability.csv and validation-<batch>.csv. What Pollux measured is all that is used; how its
values are interpolated follows the paper's simulator, so that its published results can be compared with.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator

from trainmaster.simulator.errors import BadCurve, UnknownApplication

FloatArray = NDArray[np.float64]
Placement = tuple[int, ...]

# The number of epochs Pollux trains each application for, and the most a GPU's memory holds (its section
# 5.1).
EPOCHS = {"bert": 2, "cifar10": 100, "ncf": 10, "imagenet": 90, "deepspeech2": 80, "yolov3": 50}
MOST_LOCAL = {"yolov3": 8}
_EPS = 1e-8


class Application:
    """One application's curves.

    batches        the validated total batch sizes, ascending; the first is the base M0
    least_local, most_local   bounds of the batch of one worker, in samples
    """

    def __init__(self, folder: Path, epochs: int, most_local: int | None = None) -> None:
        self.name = folder.name
        self.epochs = epochs
        found = {int(path.stem.split("-")[-1]): _columns(path) for path in folder.glob("validation-*.csv")}
        if not found:
            raise BadCurve(str(folder), "has no validation-<batch>.csv")
        self.batches = sorted(found)
        for batch in self.batches:
            if len(found[batch]["metric"]) < epochs:
                raise BadCurve(
                    f"{self.name}, validation-{batch}.csv",
                    f"has {len(found[batch]['metric'])} epochs of the {epochs} needed",
                )
        self._validation = [found[batch] for batch in self.batches]
        rising = self._validation[0]["metric"][0] < self._validation[0]["metric"][-1]
        best = np.maximum.accumulate if rising else np.minimum.accumulate
        self._best = [best(curve["metric"]) for curve in self._validation]
        # Progress at the end of each epoch, in steps of the base batch.
        self.ends = np.min([curve["progress"][:epochs] for curve in self._validation], axis=0)
        if (np.diff(self.ends) <= 0).any():
            raise BadCurve(self.name, "progress does not rise from epoch to epoch")
        self._placements = _placements(folder / "placements.csv")
        sizes = np.concatenate([rows[:, 0] for rows in self._placements.values()])
        self.least_local = int(sizes.min())
        self.most_local = most_local or int(sizes.max())
        self._scattered = self._scatter(folder / "scalability.csv")
        self.step_s: Callable[[Placement, int], tuple[float, float]] = lru_cache(None)(self._step_s)
        self.noise: Callable[[int, int], tuple[float, float]] = lru_cache(None)(self._noise)

    @property
    def base(self) -> int:
        return self.batches[0]

    @property
    def most_batch(self) -> int:
        return self.batches[-1]

    def _scatter(self, path: Path) -> LinearNDInterpolator:
        """Over (nodes, workers, local batch): the means of the placements, then the scalability runs."""
        cells: dict[tuple[int, int, float], list[FloatArray]] = {}
        for placement, rows in self._placements.items():
            for row in rows:
                cells.setdefault((len(placement), sum(placement), row[0]), []).append(row[1:])
        points = [list(key) for key in sorted(cells)]
        values = [np.mean(cells[key], axis=0) for key in sorted(cells)]
        far = _columns(path)
        for at in range(len(far["num_nodes"])):
            points.append([far["num_nodes"][at], far["num_replicas"][at], far["local_bsz"][at]])
            values.append(np.array([far["step_time"][at], far["sync_time"][at]]))
        return LinearNDInterpolator(np.array(points, dtype=float), np.array(values))

    def _step_s(self, placement: Placement, local: int) -> tuple[float, float]:
        """Seconds of an optimizer step and of its synchronisation. Raises BadCurve in a hole."""
        turns = (placement[i:] + placement[:i] for i in range(len(placement)))
        placement = min(turns)
        rows = self._placements.get(placement)
        if rows is not None:
            if not rows[0, 0] <= local <= rows[-1, 0]:
                raise BadCurve(self.name, f"no step time for {local} samples per worker on {placement}")
            return (
                float(np.interp(local, rows[:, 0], rows[:, 1])),
                float(np.interp(local, rows[:, 0], rows[:, 2])),
            )
        step, sync = self._scattered([min(len(placement), 16), sum(placement), local])[0]
        if math.isnan(step):
            raise BadCurve(self.name, f"no step time for {local} samples per worker on {placement}")
        return float(step), float(sync)

    def _between(self, batch: float) -> tuple[int, int, float]:
        """The validated batches around a batch, and its place between them, 0..1."""
        if not self.batches[0] <= batch <= self.batches[-1]:
            raise BadCurve(self.name, f"no validation for a batch of {batch}")
        up = int(np.searchsorted(self.batches, batch))
        if self.batches[up] == batch:
            return up, up, 0.0
        low = up - 1
        return low, up, (batch - self.batches[low]) / (self.batches[up] - self.batches[low])

    def _mix(self, batch: float, of: Callable[[int], float]) -> float:
        low, up, place = self._between(batch)
        return of(low) if low == up else (1 - place) * of(low) + place * of(up)

    def _noise(self, batch: int, epoch: int) -> tuple[float, float]:
        """Squared norm and variance of the gradient in an epoch."""
        curves = self._validation
        return (
            float(self._mix(batch, lambda i: curves[i]["grad_sqr"][epoch])),
            float(self._mix(batch, lambda i: curves[i]["grad_var"][epoch])),
        )

    def steps_after(self, batch: int, epoch: int) -> float:
        """Optimizer steps a training of this batch has made when it has completed epochs 0..epoch."""
        return float(self._mix(batch, lambda i: self._validation[i]["iteration"][epoch]))

    def metric(self, batch: int, epoch: int) -> float | None:
        """The best validation metric after so many epochs; None before the first has ended."""
        if epoch == 0:
            return None
        return float(self._mix(batch, lambda i: self._best[i][epoch - 1]))

    def efficiency(self, batch: int, epoch: int) -> float:
        """Base-batch steps one step of this batch is worth: (var + sqr) / (var / scale + sqr)."""
        sqr, var = self.noise(batch, epoch)
        return (var + sqr) / (var / (batch / self.base) + sqr)


def local_batch(app: Application, batch: int, workers: int, at_least_two: bool = True) -> tuple[int, int]:
    """(samples per worker and pass, extra passes) for a wanted total batch: the memory of one GPU bounds a
    pass.

    `at_least_two`: a single worker accumulates at least twice when the batch is above the base, since one
    pass alone does not tell the gradient's noise.
    """
    local = math.ceil(batch / workers - _EPS)
    extra = math.ceil(local / app.most_local - _EPS) - 1
    if at_least_two and workers == 1 and batch > app.base:
        extra = max(1, extra)
    atomic = math.ceil(local / (extra + 1) - _EPS)
    return min(atomic, app.most_batch // (workers * (extra + 1))), extra


def compact(workers: int, per_node: int = 4) -> Placement:
    """So many workers on as few nodes as can be, full ones first."""
    full, rest = divmod(workers, per_node)
    return (per_node,) * full + ((rest,) if rest else ())


class Applications:
    """The applications of a folder, read when first asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[str, Application] = {}

    def __getitem__(self, name: str) -> Application:
        if name not in self._read:
            known = sorted(path.name for path in self.folder.iterdir() if path.is_dir())
            if name not in known or name not in EPOCHS:
                raise UnknownApplication(name, known)
            self._read[name] = Application(self.folder / name, EPOCHS[name], MOST_LOCAL.get(name))
        return self._read[name]


def _columns(path: Path) -> dict[str, FloatArray]:
    with path.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    if not rows:
        raise BadCurve(path.name, "is empty")
    out: dict[str, FloatArray] = {}
    for name in rows[0]:
        try:
            out[name] = np.array([float(row[name]) for row in rows])
        except (TypeError, ValueError):
            raise BadCurve(path.name, f"{name} has a value that is not a number") from None
        if not np.isfinite(out[name]).all():
            raise BadCurve(path.name, f"{name} has a hole")
    return out


def _placements(path: Path) -> dict[Placement, FloatArray]:
    """By placement: rows of (local batch, step seconds, sync seconds), ascending."""
    with path.open(newline="", encoding="utf-8") as lines:
        found: dict[Placement, list[list[Any]]] = {}
        for number, row in enumerate(csv.DictReader(lines), 2):
            try:
                placement = tuple(int(digit) for digit in row["placement"])
                values = [float(row[name]) for name in ("local_bsz", "step_time", "sync_time")]
            except (KeyError, TypeError, ValueError):
                raise BadCurve(path.name, f"line {number} cannot be read") from None
            if not (all(math.isfinite(value) for value in values) and values[1] > 0):
                raise BadCurve(path.name, f"line {number} has a step time that is not positive")
            found.setdefault(placement, []).append(values)
    return {placement: np.array(sorted(rows)) for placement, rows in found.items()}
