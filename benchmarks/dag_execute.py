"""Running a planned graph: measured makespan against the planned one, and against Dask on the same machine.

Usage: python -m benchmarks.dag_execute [--tasks 120] [--processors 2]
Each task sleeps or computes for its planned time and returns as many bytes as its dearest edge costs at the
assumed bandwidth. Sleeping shows the cost of the runner alone; computing needs as many free cores as
processors. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from functools import partial
from typing import Any

import numpy as np

from trainmaster.dagsched import Lanes, TaskGraph, execute, generate, schedule
from trainmaster.dagsched.io.dask import to_dask


def sleep_for(seconds: float, size: int, *_: bytes) -> bytes:
    """Wait and hand back ``size`` bytes."""
    time.sleep(seconds)
    return bytes(size)


def compute_for(seconds: float, size: int, *_: bytes) -> bytes:
    """Keep a core busy for ``seconds`` of its own time."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass
    return bytes(size)


def functions_of(graph: TaskGraph, kind: Any, bandwidth: float) -> list[Any]:
    a = graph.arrays
    dearest = [
        float(np.max(a.succ_cost[a.succ_ptr[v] : a.succ_ptr[v + 1]], initial=0.0)) for v in range(graph.n)
    ]
    return [partial(kind, float(graph.work[v]), int(dearest[v] * bandwidth)) for v in range(graph.n)]


def with_dask(graph: TaskGraph, functions: list[Any], processors: int) -> dict[str, float] | None:
    """Dask's distributed scheduler with that many single-threaded worker processes, three runs."""
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        return None
    exits = [v for v in range(graph.n) if graph.arrays.succ_ptr[v] == graph.arrays.succ_ptr[v + 1]]
    with (
        LocalCluster(n_workers=processors, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        times = []
        for _ in range(3):
            begin = time.perf_counter()
            client.get(to_dask(graph, functions), exits)
            times.append(time.perf_counter() - begin)
    return {"median_s": sorted(times)[1], "least_s": min(times)}


def measure(graph: TaskGraph, kind: Any, processors: int, bandwidth: float) -> dict[str, Any]:
    functions = functions_of(graph, kind, bandwidth)
    row: dict[str, Any] = {"bound_s": None, "plans": {}}
    with Lanes(processors) as lanes:
        for name in ("serial", "heft", "etf", "auto"):
            plan = schedule(graph, processors, name)
            runs = sorted(execute(functions, graph, plan, lanes=lanes).makespan for _ in range(3))
            row["bound_s"] = plan.lower_bound
            row["plans"][name] = {
                "planned_s": plan.makespan,
                "measured_s": runs[1],
                "measured_over_planned": runs[1] / plan.makespan,
                "copies": plan.copies,
            }
    dask = with_dask(graph, functions, processors)
    row["dask"] = dask or "not installed"
    if dask:
        row["dask_over_auto"] = dask["median_s"] / row["plans"]["auto"]["measured_s"]
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=120)
    parser.add_argument("--processors", type=int, default=2)
    given = parser.parse_args()
    result: dict[str, Any] = {"tasks": given.tasks, "processors": given.processors}
    for name, mean in (("10 ms", 0.01), ("1 ms", 0.001)):
        graph = generate(given.tasks, width=6, ccr=0.05, seed=3, mean_work=mean)
        for kind in (sleep_for, compute_for):
            result[f"{kind.__name__} {name}"] = measure(graph, kind, given.processors, 5e8)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
