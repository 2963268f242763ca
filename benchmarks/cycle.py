"""Decision time at 100,000 queued tasks on 1,000 nodes.

Two situations: the *burst* that fills the empty cluster, and the *steady* state: one task ends at a time and
the freed room is filled. Reported per step: p50, p99, max in milliseconds of CPU
(a step does nothing but compute, and shared machines would add their neighbours' time to a wall clock).
Usage: python -m benchmarks.cycle [--queued 100000] [--nodes 1000]
"""

from __future__ import annotations

import argparse
import json
import random
import time

from trainmaster.domain.cluster import Node
from trainmaster.domain.events import NodeJoined, RunReported, TaskSubmitted
from trainmaster.domain.ids import NodeId, TaskId, UserName
from trainmaster.domain.run import Exit, RunReport, RunState
from trainmaster.domain.task import TaskSpec, Urgency
from trainmaster.domain.units import Resources
from trainmaster.policies.registry import Profile, build
from trainmaster.scheduler.state import State
from trainmaster.scheduler.step import step
from trainmaster.telemetry.memory import settle_collector

GB = 10**9


def workload(count: int, seed: int) -> list[TaskSubmitted]:
    """Tasks of 20 users and 45 shapes, a tenth of them urgent."""
    rng = random.Random(seed)
    return [
        TaskSubmitted(
            TaskId(f"t-{number:07d}"),
            TaskSpec(
                "train",
                command=("python", "train.py"),
                resources=Resources(
                    cpu_m=rng.choice([1000, 2000, 4000]),
                    memory=rng.choice([4, 8, 16]) * GB,
                    gpus=rng.choice([0, 0, 1, 2, 4]),
                ),
                urgency=Urgency.URGENT if rng.random() < 0.1 else Urgency.NORMAL,
                priority=float(rng.randrange(5)),
                user=UserName(f"user-{rng.randrange(20)}"),
                estimate_s=rng.uniform(60, 36_000),
            ),
        )
        for number in range(count)
    ]


def quantiles(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {
        name: round(ordered[min(int(len(ordered) * q), len(ordered) - 1)] * 1e3, 2) for name, q in at.items()
    }


def measure(ordering: str, queued: int, nodes: int, seed: int = 0) -> dict[str, object]:
    state = State()
    state.policies = build(Profile("benchmark", ordering, "fair", "least_loaded", "newest_first"))
    settle_collector()  # as the service does
    # Tasks first, nodes after: so that the burst is decisions alone, without the cost of taking tasks in.
    events = workload(queued + 4 * nodes, seed)
    for begin in range(0, len(events), 1000):
        step(state, events[begin : begin + 1000], 0.0)
    capacity = Resources(cpu_m=32_000, memory=128 * GB, gpus=8)
    step_times: list[float] = []
    out = step(state, [NodeJoined(Node(NodeId(f"n{i:04d}"), capacity)) for i in range(nodes)], 1.0)
    while out.again:
        began = time.process_time()
        out = step(state, [], 1.0)
        step_times.append(time.process_time() - began)
    burst = quantiles(step_times)
    filled = len(state.runs)
    rng, now, steady = random.Random(seed), 1.0, []
    live = list(state.runs)
    for _ in range(1000):
        now += 0.1
        position = rng.randrange(len(live))
        live[position], live[-1] = live[-1], live[position]
        run = state.runs[live.pop()][0]
        report = RunReport(run.id, RunState.EXITED, now - 60, now, Exit(0))
        began = time.process_time()
        out = step(state, [RunReported(run.node, report)], now)
        steady.append(time.process_time() - began)
        live += [task for task in out.tasks if task in state.runs]
    return {
        "queued": len(state.ready),
        "nodes": nodes,
        "running": filled,
        "burst_ms": burst,
        "steady_ms": quantiles(steady),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--queued", type=int, default=100_000)
    parser.add_argument("--nodes", type=int, default=1_000)
    options = parser.parse_args()
    result = {
        ordering: measure(ordering, options.queued, options.nodes)
        for ordering in ("fcfs", "priority", "multi_queue", "sjf", "backfill")
    }
    print(json.dumps({"benchmark": "cycle", "limit_p99_ms": 50, "orderings": result}))


if __name__ == "__main__":
    main()
