"""The same workload live and simulated: how far apart are the makespans (bar: 15 %)?

A real service with four logical nodes of one core each is given rigid tasks (they sleep) and elastic
trainings (real groups of `trainmaster.train`, whose step sleeps in proportion to the worker's share), at
seeded times. The simulation is given the specification: times, lengths, the ideal speed curve, and what
starting, getting ready and a change of a group cost, measured on a training of its own before.
`replayed`: the same history through `whatif`, which knows only what the service recorded.

Usage: python -m benchmarks.simulate_live [--seed 0] [--rigid 10] [--elastic 3]
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.live import SOURCE, Live, wait_until

from trainmaster.client import Client
from trainmaster.domain.chance import uniform
from trainmaster.domain.cluster import Node
from trainmaster.domain.ids import NodeId
from trainmaster.domain.task import TaskSpec
from trainmaster.domain.units import Resources
from trainmaster.policies.registry import named
from trainmaster.simulator.loop import Arrival, Scenario, Simulation
from trainmaster.simulator.speed import Scaling, Usl
from trainmaster.simulator.training import Length
from trainmaster.simulator.world import Costs

NODES, MOST = 4, 4
STEP_S = 0.25  # of one worker with the whole batch
SCRIPT = """
import sys, time
import torch
from torch.utils.data import TensorDataset
from trainmaster import train

torch.set_num_threads(1)
steps, step_s = int(sys.argv[1]), float(sys.argv[2])
dataset = TensorDataset(torch.randn(64 * steps, 4), torch.randn(64 * steps, 1))
model = torch.nn.Linear(4, 1)
opt = torch.optim.SGD(model.parameters(), lr=0.01)
with train.task() as t:
    t.prepare(model, opt)
    for _ in t.epochs(1):
        for x, y in t.batches(dataset, batch=64):
            loss = ((model(x) - y) ** 2).mean()
            opt.zero_grad()
            loss.backward()
            opt.step()
            time.sleep(step_s * len(x) / 64)
"""


@dataclass(frozen=True)
class Job:
    """`seconds` with one worker, at `time` after the begin; rigid if `most` is 1. `cpus` per worker."""

    time: float
    seconds: float
    most: int
    cpus: float

    @property
    def steps(self) -> int:
        return max(round(self.seconds / STEP_S), 1)


def workload(seed: int, rigid: int, elastic: int) -> list[Job]:
    """Within 20 s, by Poisson's process; rigid ones of 2 to 8 s, trainings of 15 to 40."""
    jobs, at = [], 0.0
    count = rigid + elastic
    for number in range(count):
        draw = uniform(seed, number, 1)
        if number % (count // elastic) == 1 and sum(job.most > 1 for job in jobs) < elastic:
            jobs.append(Job(at, 15 + 25 * draw, MOST, 1.0))
        else:
            jobs.append(Job(at, 2 + 6 * draw, 1, 1.0 if draw > 0.3 else 0.5))
        at -= 20 / count * math.log(1 - uniform(seed, number, 0))
    return jobs


def submit(client: Client, folder: Path, job: Job) -> str:
    if job.most == 1:
        return client.submit(command=["sleep", f"{job.seconds:.3f}"], cpus=job.cpus, name="rigid").id
    command = [sys.executable, "train.py", str(job.steps), str(STEP_S)]
    return client.submit(
        name="elastic", command=command, directory=str(folder),
        environment={"PYTHONPATH": str(SOURCE)}, workers=f"1..{job.most}", cpus=job.cpus,
    ).id  # fmt: skip


def calibrate(client: Client, folder: Path) -> Costs:
    """What beginning costs: of a sleep, and of trainings alone, of which the second starts warm as later ones
    do."""
    rigid = client.wait(client.submit(command=["sleep", "0.2"], cpus=0.5).id, timeout=60)
    (run,) = client.runs(rigid.id)
    start = max((run.started_at or 0.0) - rigid.submitted_at, 0.0)
    ready = 0.0
    for _ in range(2):
        task = submit(client, folder, Job(0.0, 6.0, 2, 1.0))
        client.wait(task, timeout=120)
        begun = [event.time for event in client.events(task) if event.kind == "task-regrouped"]
        started = [run.started_at for run in client.runs(task) if run.started_at is not None]
        ready = min(begun) - min(started)
    return Costs(start_s=start, ready_s=ready, regroup_s=0.07, report_s=5.0)


def simulated(jobs: list[Job], costs: Costs, cores: float) -> Simulation:
    arrivals = []
    for job in jobs:
        need = Resources(cpu_m=round(job.cpus * 1000))
        spec = TaskSpec("job", command=("t",), resources=need, max_workers=job.most)
        training = Length(job.seconds) if job.most == 1 else Scaling(job.steps * STEP_S, Usl())
        arrivals.append(Arrival(job.time, spec, training))
    nodes = [Node(NodeId(f"n{at}"), Resources(cpu_m=round(cores * 1000))) for at in range(NODES)]
    simulation = Simulation(Scenario(nodes, named("default"), arrivals, costs))
    simulation.run()
    return simulation


def measure(seed: int, rigid: int, elastic: int) -> dict[str, Any]:
    jobs = workload(seed, rigid, elastic)
    with tempfile.TemporaryDirectory(prefix="trainmaster-simulate-") as name:
        folder = Path(name)
        (folder / "train.py").write_text(SCRIPT)
        live = Live(folder / "data", nodes=NODES, cores=float(NODES), leave_running=False)
        live.start()
        try:
            with Client(live.url, live.token, timeout=150.0) as client:
                costs = calibrate(client, folder)
                cores = client.nodes()[0].cpus
                wait_until(lambda: not client.nodes()[0].runs, "an empty cluster")
                begin, tasks = time.time(), []
                for job in jobs:
                    time.sleep(max(begin + job.time - time.time(), 0.0))
                    tasks.append(submit(client, folder, job))
                ended = [client.wait(task, timeout=300) for task in tasks]
                last_s = time.time() - begin
                replay = client.whatif("default", last_s=last_s)
        finally:
            live.stop()
    assert all(task.ok for task in ended)
    ends = [(task.ended_at or 0.0) - begin for task in ended]
    jct = sum((task.ended_at or 0.0) - task.submitted_at for task in ended) / len(ended)
    report = simulated(jobs, costs, cores).report
    was, replayed, _ = replay.columns
    return {
        "tasks": len(jobs),
        "elastic": sum(job.most > 1 for job in jobs),
        "costs_s": {"start": round(costs.start_s, 3), "ready": round(costs.ready_s, 3)},
        "live": {"makespan_s": round(max(ends), 2), "mean_jct_s": round(jct, 2)},
        "simulated": {"makespan_s": round(report.makespan, 2), "mean_jct_s": round(report.jct.mean, 2)},
        "replayed": {"makespan_s": replayed.makespan_s, "mean_jct_s": replayed.jct_s.mean},
        "makespan_ratio": round(report.makespan / max(ends), 3),
        "jct_ratio": round(report.jct.mean / jct, 3),
        "replay_makespan_ratio": round(replayed.makespan_s / was.makespan_s, 3),
        "replay_jct_ratio": round(replayed.jct_s.mean / was.jct_s.mean, 3),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rigid", type=int, default=10)
    parser.add_argument("--elastic", type=int, default=3)
    options = parser.parse_args()
    found = measure(options.seed, options.rigid, options.elastic)
    print(json.dumps({"benchmark": "simulate_live", "limit": 0.15, **found}))


if __name__ == "__main__":
    main()
