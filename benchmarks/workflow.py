"""Hops of a chain, and a workflow of 10,000 tasks through, beside Dask and beside tasks without dependencies.

- hop: from the last instruction of a no-op function to the first of the next in a chain of functions, by the
  clock of the lanes. Each hop is a report, a decision, a durable transaction and a launch. Dask, which
  records nothing, runs the same chain on one local worker process, by the Python given with `--dask`.
  Milliseconds.
- through: a graph of layers, each task after three of the layer before, no-op functions; from before the
  request to the recorded end of the run. Its floor is the same number of functions without dependencies,
  submitted in bulk and just as durable, in the same rounds.
- step: CPU time of the scheduler for the same graph without service, store and nodes, per task, and the same
  with a tenth of the tasks: work that grew with the size of the graph would show.
Usage: python -m benchmarks.workflow [--rounds 3] [--tasks 10000] [--chain 300] [--dask PYTHON]
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
from tests.live import Live

from benchmarks.dispatch import rate
from trainmaster.domain.ids import UserName, WorkflowRunId
from trainmaster.domain.task import Part, TaskKind, TaskSpec
from trainmaster.domain.workflow import Stage, WorkflowSpec, graph
from trainmaster.domain.workflow_run import PartEnd, StageState, WorkflowRun
from trainmaster.scheduler.unfolding import Unfolding

DASK = """
import sys, time, statistics, json
from benchmarks.noop import stamps
from distributed import Client, LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        with Client(cluster) as client:
            client.submit(stamps, None, pure=False).result()
            last, futures = None, []
            for _ in range(int(sys.argv[1])):
                last = client.submit(stamps, last, pure=False)
                futures.append(last)
            times = client.gather(futures)
    print("HOPS", json.dumps([(b[0] - a[1]) * 1e3 for a, b in zip(times, times[1:])]))
"""


def layered(tasks: int, width: int) -> dict[str, Any]:
    """A graph in layers of `width`, each task after three of the layer before."""
    stages: dict[str, Any] = {}
    for number in range(tasks):
        layer, at = divmod(number, width)
        before = [(layer - 1) * width + (at + step) % width for step in (0, 1, 7)] if layer else []
        stages[f"s{number}"] = {
            "function": "benchmarks.noop:noop",
            "directory": str(Path.cwd()),
            "after": [f"s{one}" for one in dict.fromkeys(before)],
        }
    return {"name": "layers", "stages": stages}


def chain(length: int) -> dict[str, Any]:
    common = {"function": "benchmarks.noop:stamps", "directory": str(Path.cwd())}
    stages = {f"s{n}": {**common, "after": [f"s{n - 1}"] if n else []} for n in range(length)}
    return {"name": "chain", "stages": stages}


def through(client: httpx2.Client, definition: dict[str, Any]) -> tuple[float, str]:
    """Seconds from the request to the end of the run, and its id. The definition is kept beforehand."""
    defined = client.post("/v1/workflows", json=definition)
    assert defined.status_code == 201, defined.text[:300]
    began = time.perf_counter()
    run = client.post("/v1/workflow-runs", json={"workflow": definition["name"]}).json()["id"]
    while (told := client.get(f"/v1/workflow-runs/{run}").json())["ended_at"] is None:
        time.sleep(0.05)
    taken = time.perf_counter() - began
    assert told["counts"] == {"SUCCEEDED": len(definition["stages"])}, told
    return taken, run


def hops(client: httpx2.Client, length: int) -> list[float]:
    _, run = through(client, chain(length))
    times = []
    for number in range(length):
        (part,) = client.get(f"/v1/workflow-runs/{run}/stages/s{number}").json()["tasks"]
        times.append(part["result"])
    return [(after[0] - before[1]) * 1e3 for before, after in itertools.pairwise(times)]


def dask_hops(python: str, length: int) -> list[float] | None:
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(DASK)
        script.flush()
        words = [python, script.name, str(length)]
        done = subprocess.run(words, capture_output=True, text=True, env={"PYTHONPATH": str(Path.cwd())})
    for line in done.stdout.splitlines():
        if line.startswith("HOPS"):
            found: list[float] = json.loads(line.removeprefix("HOPS"))
            return found
    print(f"dask: {done.stderr[-500:]}", file=sys.stderr)
    return None


def unfold_us(tasks: int, width: int) -> float:
    """Microseconds of CPU per task to unfold the layered graph, everything succeeding."""
    noop = TaskSpec("noop", TaskKind.FUNCTION, function="benchmarks.noop:noop")
    described = layered(tasks, width)["stages"]
    spec = WorkflowSpec("layers", tuple(Stage(n, noop, tuple(s["after"])) for n, s in described.items()))
    run = WorkflowRun(WorkflowRunId("w-1"), 1, "layers", 1, UserName("me"), 0.0)
    began = time.process_time()
    unfolding = Unfolding(graph(spec), run)
    while not unfolding.finished:
        for order in unfolding.take(1000, ()):
            part = Part(run.id, spec.stages[order.stage].name, order.key)
            unfolding.part_ended(PartEnd(part, run.id, StageState.SUCCEEDED))
    return (time.process_time() - began) / tasks * 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--width", type=int, default=100)
    parser.add_argument("--chain", type=int, default=300)
    parser.add_argument("--dask", metavar="PYTHON", help="a Python that has distributed")
    options = parser.parse_args()
    ours: list[float] = []
    peers: list[float] = []
    graphs, floors = [], []
    with tempfile.TemporaryDirectory() as folder:
        service = Live(Path(folder) / "data", leave_running=False, nodes=1, lanes=2, containers=False)
        service.start()
        try:
            with service.client(timeout=120) as client:
                through(client, chain(5))  # the lanes have imported the function
                for _ in range(options.rounds):
                    ours += hops(client, options.chain)
                    if options.dask:
                        peers += dask_hops(options.dask, options.chain) or []
                    graphs.append(options.tasks / through(client, layered(options.tasks, options.width))[0])
                    function = {"function": "benchmarks.noop:noop", "directory": str(Path.cwd())}
                    floors.append(rate(client, function, options.tasks))
        finally:
            service.stop()
    graph_rate, floor = statistics.median(graphs), statistics.median(floors)
    result = {
        "benchmark": "workflow",
        "hop_ms": _spread(ours),
        "dask_hop_ms": _spread(peers) if peers else None,
        "ratio_to_dask": round(statistics.median(ours) / statistics.median(peers), 2) if peers else None,
        "graph_tasks_per_s": round(graph_rate, 1),
        "independent_tasks_per_s": round(floor, 1),
        "ratio_to_independent": round(graph_rate / floor, 2),
        "unfold_us_per_task": {
            str(options.tasks // 10): round(unfold_us(options.tasks // 10, options.width), 2),
            str(options.tasks): round(unfold_us(options.tasks, options.width), 2),
        },
        "rounds": {"graph": [round(v, 1) for v in graphs], "independent": [round(v, 1) for v in floors]},
    }
    print(json.dumps(result))


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "p50": round(statistics.median(ordered), 2),
        "p95": round(ordered[int(len(ordered) * 0.95)], 2),
        "count": len(ordered),
    }


if __name__ == "__main__":
    main()
