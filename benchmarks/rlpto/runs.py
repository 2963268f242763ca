"""Running the methods over seeds, and what is kept of each run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.rlpto.methods import Method
from trainmaster.rl.experiment import Run
from trainmaster.simulator.workload.images import SIZES, Cluster
from trainmaster.simulator.workload.priorities import EVERY_S, HORIZON_S, area, reward_at

Say = Callable[[str], None]


def table(methods: Sequence[Method], cluster: Cluster, seeds: Sequence[int], say: Say) -> dict[str, Any]:
    """By method: accuracy and seconds of every seed, and by size of data."""
    found = {}
    for method in methods:
        began = time.perf_counter()
        runs = [method.run(cluster, seed) for seed in seeds]
        found[method.name] = {
            "accuracy": [round(run.accuracy, 6) for run in runs],
            "time_s": [round(run.makespan, 1) for run in runs],
            "resizes": round(sum(run.resizes for run in runs) / len(runs), 1),
            "sizes": {size: _of_size(runs, size) for size in SIZES},
        }
        accuracy, seconds = mean(found[method.name])
        wall = (time.perf_counter() - began) / len(runs)
        say(f"{cluster.nodes} {method.name:26} {100 * accuracy:.2f} % {seconds:7.0f} s  ({wall:.2f} s a run)")
    return found


def mean(one: dict[str, Any]) -> tuple[float, float]:
    """(accuracy, seconds)."""
    return sum(one["accuracy"]) / len(one["accuracy"]), sum(one["time_s"]) / len(one["time_s"])


def _of_size(runs: Sequence[Run], size: str) -> dict[str, float]:
    """Means of accuracy, of seconds from a task's start to its end, and of its epochs."""
    ends = [end for run in runs for end in run.ends if end.name.startswith(size)]
    count = len(ends)
    return {
        "accuracy": round(sum(e.accuracy for e in ends) / count, 6),
        "time_s": round(sum(e.time - e.started for e in ends) / count, 1),
        "epochs": round(sum(e.epochs for e in ends) / count, 1),
    }


def rewards(
    methods: Sequence[Method], cluster: Cluster, seeds: Sequence[int], levels: Sequence[int], say: Say
) -> dict[str, Any]:
    """By method: the reward at every 1,000 s (mean over seeds) and the area of every seed."""
    moments = [EVERY_S * k for k in range(int(HORIZON_S // EVERY_S) + 1)]
    found = {}
    for method in methods:
        curves, areas = [], []
        for seed in seeds:
            run = method.run(cluster, seed, levels)
            ends = [(end.time, levels[int(end.name.rpartition("-")[2]) - 1]) for end in run.ends]
            curves.append([reward_at(moment, ends) for moment in moments])
            areas.append(round(area(ends), 3))
        curve = [round(sum(c[k] for c in curves) / len(curves), 2) for k in range(len(moments))]
        average = round(sum(curve) / len(curve), 2)
        found[method.name] = {"curve": curve, "area": areas, "average": average}
        say(f"{method.name:26} average {average:6.1f}, area {sum(areas) / len(areas):.1f}")
    return found
