"""Speed of planning, in one run against PyPI's ``anrg-saga`` where it is installed.

Usage: python -m benchmarks.dagsched [--only saga,medium,growth,starts,large]  (large: about two minutes)
Times are CPU seconds of this process (medians of repeats, after one warm-up call), so that other work on the
machine counts less; wall seconds stand beside them where the promise is about waiting. The last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from trainmaster.dagsched import TaskGraph, generate, schedule
from trainmaster.dagsched.bounds import machine_bounds
from trainmaster.dagsched.clusters import parts_of
from trainmaster.dagsched.machine import machine_for
from trainmaster.dagsched.problem import Problem
from trainmaster.dagsched.registry import algorithm


def timed(call: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Median CPU and wall seconds of ``repeats`` calls."""
    cpu, wall = [], []
    for _ in range(repeats):
        c, w = time.process_time(), time.perf_counter()
        call()
        cpu.append(time.process_time() - c)
        wall.append(time.perf_counter() - w)
    return {"cpu_s": sorted(cpu)[repeats // 2], "wall_s": sorted(wall)[repeats // 2]}


def problem(graph: TaskGraph, p: int) -> Problem:
    return Problem(graph, machine_for(graph, p))


def saga_heft(graph: TaskGraph, p: int) -> Callable[[], Any] | None:
    """SAGA's HEFT on the same graph and p equal processors joined by links of speed 1."""
    try:
        import saga
        from saga.schedulers.heft import HeftScheduler
    except ImportError:
        return None
    source, target, cost = graph.edges()
    theirs = saga.TaskGraph.create(
        tasks=[(str(v), float(w)) for v, w in enumerate(graph.work)],
        dependencies=[(str(u), str(v), float(c)) for u, v, c in zip(source, target, cost, strict=True)],
    )
    network = saga.Network.create(
        nodes=[(str(q), 1.0) for q in range(p)],
        edges=[(str(a), str(b), 1.0) for a in range(p) for b in range(a + 1, p)],
    )
    return lambda: HeftScheduler().schedule(network, theirs)


def against_saga() -> dict[str, Any]:
    """HEFT at n = 100, 300 and 1,000 on 8 processors."""
    rows = []
    for n in (100, 300, 1000):
        graph = generate(n, ccr=1, seed=1)
        mine = problem(graph, 8)
        row: dict[str, Any] = {
            "tasks": n,
            "ours": timed(lambda mine=mine: algorithm("heft")(mine), 21)["cpu_s"],
        }
        row["ours_with_bound_and_plan"] = timed(lambda graph=graph: schedule(graph, 8, "heft"), 21)["cpu_s"]
        theirs = saga_heft(graph, 8)
        if theirs is not None:
            row["saga"] = timed(theirs, 1)["cpu_s"]
            row["ratio"] = row["saga"] / row["ours"]
            row["ours_makespan"] = algorithm("heft")(mine).makespan
            row["saga_makespan"] = float(theirs().makespan)
        rows.append(row)
    return {"rows": rows, "saga": "not installed" if theirs is None else "anrg-saga"}


def medium() -> list[dict[str, Any]]:
    """n = 10,000, p = 20: one wide and one narrow graph."""
    rows = []
    for width, ccr in ((100, 1), (40, 5)):
        graph = generate(10_000, width=width, ccr=ccr, seed=1)
        mine = problem(graph, 20)
        row: dict[str, Any] = {"width": width, "ccr": ccr}
        for name, repeats in (("heft", 5), ("etf", 5), ("duplication", 3), ("tdpatd", 1), ("auto", 1)):
            row[name] = timed(lambda name=name, mine=mine: algorithm(name)(mine), repeats)
        row["bounds"] = timed(lambda mine=mine: machine_bounds(mine.graph, mine.machine), 5)
        rows.append(row)
    return rows


def large() -> list[dict[str, Any]]:
    """n = 1,000,000, p = 20; limited duplication: chains and copies of two, one free processor."""
    limits = {"depth": 2, "copies": 2, "earliest": 1}
    rows = []
    for width, ccr in ((1000, 1), (60, 5)):
        graph = generate(1_000_000, width=width, ccr=ccr, seed=1)
        mine = problem(graph, 20)
        rows.append(
            {
                "width": width,
                "ccr": ccr,
                "edges": graph.m,
                "heft": timed(lambda mine=mine: algorithm("heft")(mine), 1),
                "etf": timed(lambda mine=mine: algorithm("etf")(mine), 1),
                "bounds": timed(lambda mine=mine: machine_bounds(mine.graph, mine.machine), 1),
                "limited_duplication": timed(lambda mine=mine: algorithm("duplication")(mine, **limits), 1),
            }
        )
    return rows


def many_edges() -> dict[str, Any]:
    """Ten million edges on a million tasks: build and check the graph, HEFT with its bound, validate."""
    n, m = 1_000_000, 10_000_000
    rng = np.random.default_rng(1)
    # Distinct pairs of neighbours in number, at most a thousand apart, so that they are acyclic.
    key = np.unique(rng.integers(0, n - 1001, m + m // 50) * 1000 + rng.integers(0, 1000, m + m // 50))[:m]
    source, target = key // 1000, key // 1000 + 1 + key % 1000
    work, cost = rng.uniform(1, 3, n), rng.uniform(1, 3, key.size)
    begin = time.process_time()
    graph = TaskGraph.from_arrays(work, source, target, cost)
    built = time.process_time()
    plan = schedule(graph, 20, "heft")
    planned = time.process_time()
    plan.validate()
    return {
        "edges": graph.m,
        "build_s": built - begin,
        "heft_s": planned - built,
        "validate_s": time.process_time() - planned,
    }


def growth() -> dict[str, Any]:
    """TDPATD at 400 parts: CPU seconds by n; beside TDCA at n = 1,000; each with its partitioner alone."""
    rows = []
    for n in (4000, 8000, 16_000, 32_000, 64_000):
        mine = problem(generate(n, width=40, seed=1), 8)
        row = timed(lambda mine=mine: algorithm("tdpatd")(mine, parts=400), 5)
        rows.append(
            {"tasks": n, **row, "partition_s": timed(lambda mine=mine: parts_of(mine, 400), 5)["cpu_s"]}
        )
    thousand = []
    for width, p in ((None, 8), (16, 8), (16, 20)):
        mine = problem(generate(1000, width=width, seed=1), p)
        times = {
            name: timed(lambda name=name, mine=mine: algorithm(name)(mine), 9)["cpu_s"]
            for name in ("tdca", "tdpatd")
        }
        floor = timed(lambda mine=mine: parts_of(mine, None), 9)["cpu_s"]
        thousand.append(
            {
                "width": mine.graph.width,
                "p": p,
                **times,
                "partition": floor,
                "tdca_over_tdpatd": times["tdca"] / times["tdpatd"],
            }
        )
    return {"rows": rows, "thousand": thousand}


CHILD = """
import os, sys, time
begin = time.perf_counter()
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[2])])
from trainmaster.dagsched import generate, schedule
loaded = time.perf_counter() - begin
# Narrow and dear to communicate: auto stops at no bound, so every member and every improvement runs.
graph = generate(200, width=8, ccr=5, seed=1)
schedule(graph, 4, sys.argv[1])
# The process that compiles beside this one counts.
cpu, wall = sum(os.times()[:4]), time.perf_counter() - begin
begin = time.perf_counter()
schedule(graph, 4, sys.argv[1])
print(cpu, wall, loaded, time.perf_counter() - begin)
"""


def starts(repeats: int = 7) -> dict[str, Any]:
    """A fresh process with an empty cache of kernels; then the median of ``repeats`` that find it filled.

    With every core, and the first call of ``auto`` on one core too. Bytecode may be kept, as it is for an
    installed package. ``plan_again_s``: the same plan once more in the same process, which is what planning
    takes once everything is loaded.
    """
    found = {}
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    cores = len(os.sched_getaffinity(0))
    for name, used, later in (("heft", cores, repeats), ("auto", cores, repeats), ("auto", 1, 0)):
        with tempfile.TemporaryDirectory() as folder:
            runs = []
            for _ in range(1 + later):
                done = subprocess.run(
                    [sys.executable, "-c", CHILD, name, str(used)],
                    env={**kept, "NUMBA_CACHE_DIR": folder},
                    capture_output=True,
                    text=True,
                    check=True,
                )
                cpu, wall, loaded, again = map(float, done.stdout.split())
                runs.append(
                    {
                        "cpu_s": cpu,
                        "wall_s": wall,
                        "import_s": loaded,
                        "plan_again_s": again,
                        "message": bool(done.stderr),
                    }
                )
            found[f"{name}_first" if later else f"{name}_first_one_core"] = {"cores": used, **runs[0]}
            if later:
                found[f"{name}_later"] = {
                    key: sorted(run[key] for run in runs[1:])[later // 2] for key in runs[0]
                }
    return found


PARTS = ("saga", "medium", "growth", "starts", "large")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help="parts to run, separated by commas")
    wanted = parser.parse_args().only.split(",")
    small = generate(60, ccr=3, seed=0)
    for name in ("heft", "etf", "duplication", "tdca", "tdpatd", "auto"):
        schedule(small, 4, name)
    result: dict[str, Any] = {}
    if "saga" in wanted:
        result["saga"] = against_saga()
    if "medium" in wanted:
        result["n10000_p20"] = medium()
    if "growth" in wanted:
        result["tdpatd"] = growth()
    if "starts" in wanted:
        result["starts"] = starts()
    if "large" in wanted:
        result["n1000000_p20"] = large()
        result["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        result["edges_10000000"] = many_edges()
        result["peak_mb_10000000"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(result))


if __name__ == "__main__":
    main()
