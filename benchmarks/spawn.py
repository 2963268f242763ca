"""What it costs to run something: the runners through an agent, beside a bare spawn loop as the floor.

    python benchmarks/spawn.py [--runs 400] [--functions 20000]

Prints what it does, and one JSON object as its last line. Times in ms, memory in MB.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from trainmaster.agent.agent import Agent
from trainmaster.agent.build import build_agent
from trainmaster.domain.cluster import Node
from trainmaster.domain.ids import NodeId, RunId, TaskId
from trainmaster.domain.run import RunSpec, RunState
from trainmaster.domain.units import Resources

IN_FLIGHT = 8  # processes that are started but not reported as ended
QUEUED = 2000  # function calls likewise


class Caller:
    """Polls an agent as the service does, and forgets what has ended."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.cursor = ("", 0)

    async def poll(self, wait_s: float = 1.0) -> tuple[list[RunId], list[RunId]]:
        """(runs that run, runs that ended) since the last poll."""
        result = await self.agent.poll(self.cursor, wait_s, {})
        self.cursor = (result.incarnation, result.version)
        ended = [report.id for report in result.changed if report.exit is not None]
        if ended:
            await self.agent.forget(ended)
        return [report.id for report in result.changed if report.state is RunState.RUNNING], ended

    async def through(self, specs: list[RunSpec], window: int, batch: int) -> float:
        """Seconds until all have ended, with at most about `window` unfinished."""
        begin, sent, done = time.perf_counter(), 0, 0
        while done < len(specs):
            while sent < len(specs) and sent - done < window:
                await self.agent.launch(specs[sent : sent + batch])
                sent += batch
            done += len((await self.poll())[1])
        return time.perf_counter() - begin


def process(name: str, *command: str) -> RunSpec:
    return RunSpec(RunId(TaskId(f"t-{name}"), 1, 0), "process", command=command)


def function(name: str, folder: str) -> RunSpec:
    return RunSpec(RunId(TaskId(f"t-{name}"), 1, 0), "function", function="noop:noop", directory=folder)


def floor(runs: int) -> float:
    """Runs per second of a bare loop: spawn, wait, nothing else."""
    begin = time.perf_counter()
    for _ in range(runs):
        os.waitpid(os.posix_spawn("/bin/true", ["/bin/true"], os.environ), 0)
    return runs / (time.perf_counter() - begin)


async def latency(caller: Caller, make: Any, count: int, until_end: bool) -> list[float]:
    """Milliseconds from `launch` to the poll that says RUNNING (or ended), one run at a time."""
    taken = []
    for n in range(count):
        spec, seen, over = make(n), False, False
        begin = time.perf_counter()
        await caller.agent.launch([spec])
        while not over:
            running, ended = await caller.poll()
            over = spec.id in ended
            if not seen and (over or (not until_end and spec.id in running)):
                taken.append((time.perf_counter() - begin) * 1000)
                seen = True
    return taken


def resident(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def measure(runs: int, functions: int) -> dict[str, Any]:
    results: dict[str, Any] = {"cores": os.cpu_count(), "load_before": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory(prefix="trainmaster-spawn-") as folder:
        Path(folder, "noop.py").write_text("def noop():\n    pass\n")
        node = Node(NodeId("bench"), Resources(2000))
        agent = build_agent(node, f"{folder}/data", lanes=2)
        await agent.start()
        caller = Caller(agent)
        try:
            await caller.through([process(f"warm{n}", "/bin/true") for n in range(20)], 4, 1)
            bare, ours = [], []
            for turn in range(5):  # in turns, so that both meet the same neighbours
                bare.append(floor(runs // 5))
                specs = [process(f"p{turn}-{n}", "/bin/true") for n in range(runs // 5)]
                ours.append(len(specs) / await caller.through(specs, IN_FLIGHT, 1))
            results["bare_spawns_per_s"] = round(statistics.median(bare))
            results["process_runs_per_s"] = round(statistics.median(ours))
            print(f"bare {bare}, ours {ours}")
            taken = await latency(caller, lambda n: process(f"l{n}", "/bin/sleep", "0.02"), 60, False)
            results["start_p50_ms"] = round(statistics.median(taken), 2)
            results["start_p95_ms"] = round(sorted(taken)[int(len(taken) * 0.95)], 2)
            calls = [function(f"f{n}", folder) for n in range(functions)]
            await caller.through(calls[:200], QUEUED, 100)
            results["function_runs_per_s"] = round(
                (functions - 200) / await caller.through(calls[200:], QUEUED, 200)
            )
            taken = await latency(caller, lambda n: function(f"fl{n}", folder), 200, True)
            results["function_p50_ms"] = round(statistics.median(taken), 3)
            for path in Path(folder, "data").glob("*.pid"):
                results["fork_server_mb"] = round(resident(int(path.read_text())), 1)
            lives = Path(folder, "data/nodes/bench/lanes").glob("*/life")
            marks = [json.loads(line) for path in lives for line in path.read_text().splitlines()]
            lanes = [mark["started"]["child"] for mark in marks if "started" in mark]
            results["lane_mb"] = round(max(resident(pid) for pid in lanes), 1)
        finally:
            await agent.close(leave_running=False)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--functions", type=int, default=20_000)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(measure(options.runs, options.functions))))


if __name__ == "__main__":
    main()
