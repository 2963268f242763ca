"""What the form of slowness rests on: trainings with 1 to 12 workers, of seeds that are in no table.

The curve and the exponent are fitted to those with one and four workers, as for the simulated runs. Of all it
says how many epochs are worth one of one worker's (by least squares), and how far the power law and a
straight line through the same one and four workers are from the accuracies. The first epochs are left out.
Usage: python -m benchmarks.rlpto_live.slowness [--again]   # six minutes with --again
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar

from benchmarks.rlpto_live.__main__ import CURVE_SEED, CURVES, trained
from benchmarks.rlpto_live.simulated import SHAPE, fitted
from benchmarks.rlpto_live.world import AT_MOST, EPOCHS, prepare
from benchmarks.traces import ROOT
from trainmaster.simulator.convergence import AccuracyCurve
from trainmaster.simulator.workload.images import SIZES

SEEDS = (CURVE_SEED, CURVE_SEED + 1)
WORKERS = (1, 2, 4, 8, 12)
FIRST = 5  # epochs left out
OUT = ROOT / "docs" / "results" / "rlpto-live-slowness.json"


def trainings(folder: Path) -> dict[str, dict[str, list[float]]]:
    """By seed, size and workers: the accuracies. Many workers have more epochs, since they learn slowly."""
    found: dict[str, dict[str, list[float]]] = {}
    for seed in SEEDS:
        for workers in WORKERS:
            run = trained(folder, (workers,), seed, EPOCHS if workers < 8 else AT_MOST)
            found.setdefault(str(seed), {}).update({row["name"]: row["accuracies"] for row in run["tasks"]})
    return found


def miss(curve: AccuracyCurve, values: Sequence[float], epochs: float) -> float:
    """Root mean square of the error in points where so many epochs are worth one of one worker's."""
    errors = [curve.at(at / epochs, 0.0) - value for at, value in enumerate(values, 1) if at > FIRST]
    return 100 * float(np.sqrt(np.mean(np.square(errors))))


def say(told: dict[int, list[float]], title: str) -> None:
    found = fitted({workers: told[workers] for workers in CURVES})
    curve = AccuracyCurve(**{name: found[name] for name in SHAPE})
    line = (1 / curve.worth(CURVES[1]) - 1) / (CURVES[1] - 1)
    print(f"{title}: slowness {curve.slowness:.2f}")
    for workers, values in told.items():
        best = minimize_scalar(
            lambda epochs, values=values: miss(curve, values, epochs), bounds=(0.5, 20), method="bounded"
        ).x
        power, straight = 1 / curve.worth(workers), 1 + line * (workers - 1)
        words = ", ".join(
            f"{name} {epochs:.1f} ({miss(curve, values, epochs):.2f} points)"
            for name, epochs in (("power", power), ("line", straight))
        )
        print(f"  {workers:2} workers: {best:.1f} epochs; {words}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--again", action="store_true", help="train, instead of reading what was trained")
    options = parser.parse_args()
    if options.again:
        with tempfile.TemporaryDirectory(prefix="trainmaster-images-") as name:
            OUT.write_text(json.dumps(trainings(prepare(Path(name)))) + "\n")
    for seed, rows in json.loads(OUT.read_text()).items():
        for size in SIZES:
            say({workers: rows[f"{size}-{workers}"] for workers in WORKERS}, f"{seed} {size}")


if __name__ == "__main__":
    main()
