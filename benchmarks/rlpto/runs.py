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
MOMENTS = [EVERY_S * k for k in range(int(HORIZON_S // EVERY_S) + 1)]


def table(method: Method, cluster: Cluster, seeds: Sequence[int], say: Say) -> dict[str, Any]:
    """Accuracy and seconds of every seed, and means by size of data."""
    began = time.perf_counter()
    runs = [method.run(cluster, seed) for seed in seeds]
    found = {
        "accuracy": [round(run.accuracy, 6) for run in runs],
        "time_s": [round(run.makespan, 1) for run in runs],
        "resizes": round(sum(run.resizes for run in runs) / len(runs), 1),
        "sizes": {size: _of_size(runs, size) for size in SIZES},
    }
    accuracy, seconds = mean(found)
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
    method: Method, cluster: Cluster, seeds: Sequence[int], levels: Sequence[int], say: Say
) -> dict[str, Any]:
    """The reward at every 1,000 s (mean over seeds), and of every seed the area, the mean of the recorded
    rewards, the accuracy and the time until all are done."""
    runs = [method.run(cluster, seed, levels) for seed in seeds]
    ends = [earned(run, levels) for run in runs]
    curves = [[reward_at(moment, each) for moment in MOMENTS] for each in ends]
    found = {
        "curve": [round(sum(c[k] for c in curves) / len(curves), 2) for k in range(len(MOMENTS))],
        "area": [round(area(each), 3) for each in ends],
        "averages": [round(sum(curve) / len(curve), 3) for curve in curves],
        "accuracy": [round(run.accuracy, 6) for run in runs],
        "time_s": [round(run.makespan, 1) for run in runs],
    }
    found["average"] = round(sum(found["averages"]) / len(runs), 2)
    say(f"{method.name:26} average {found['average']:6.1f}, area {sum(found['area']) / len(runs):.1f}")
    return found


def averages(runs: Sequence[Run], levels: Sequence[int]) -> float:
    """The mean over runs of the average of the rewards recorded every 1,000 s (Figure 11)."""
    found = [sum(reward_at(moment, earned(run, levels)) for moment in MOMENTS) for run in runs]
    return round(sum(found) / len(found) / len(MOMENTS), 2)


def earned(run: Run, levels: Sequence[int]) -> list[tuple[float, int]]:
    """(when, level) of all tasks of Table V that are done."""
    return [(end.time, levels[int(end.name.rpartition("-")[2]) - 1]) for end in run.ends]
