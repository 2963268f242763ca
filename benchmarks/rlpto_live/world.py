"""Twelve tasks in a live service: in virtual time, with the model of speed the simulated experiment has."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.images import images
from trainmaster.bootstrap.virtual import ended, run_virtually, virtual_service, warm
from trainmaster.domain.ids import NodeId
from trainmaster.domain.run import RunSpec, Stream
from trainmaster.domain.task import Task, TaskSpec
from trainmaster.domain.units import Resources
from trainmaster.policies.registry import Policies
from trainmaster.rl.experiment import COSTS, CYCLE_S
from trainmaster.scheduler.state import Limits
from trainmaster.service.service import Service
from trainmaster.simulator.live.charges import Charge
from trainmaster.simulator.live.timekeeper import EPOCH, Timekeeper
from trainmaster.simulator.speed import Usl
from trainmaster.simulator.workload.images import PAPER, SIZES, Cluster
from trainmaster.simulator.world import Costs
from trainmaster.train.examples import mnist

SCRIPT = Path(__file__).with_name("task.py")
SOURCE = Path(__file__).parents[2] / "src"
UNIT = 2_000  # images of a small part; the paper has 40,000 of another set
EPOCHS = 30  # "the specified number of iterations"
AT_MOST = 40  # epochs of a task that a rule stops
SPEED = Usl(PAPER.serial)
LIMITS = Limits(allotment_period_s=CYCLE_S, resize_cooldown_s=CYCLE_S / 2)


@dataclass(frozen=True, slots=True)
class Settings:
    """What `task.py` is given. `every`: steps between two averages; `sample_s[w - 1]`: seconds a worker of w
    takes for a sample on the wall clock, empty in virtual time."""

    folder: str
    samples: int
    seed: int
    epochs: int
    beta: float | None = None
    target: float | None = None
    rate: float = 0.05
    batch: int = 50
    every: int = 4
    sample_s: tuple[float, ...] = ()

    def to_json(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Job:
    """A task: `size` of its data, how many workers it may have, and when it is submitted (s)."""

    name: str
    size: str
    least: int
    most: int
    settings: Settings
    at: float = 0.0

    def spec(self, need: Resources) -> TaskSpec:
        return TaskSpec(
            self.name,
            command=(sys.executable, str(SCRIPT), self.settings.to_json()),
            resources=need,
            min_workers=self.least,
            max_workers=self.most,
            environment=tuple(environment().items()),
        )


def environment() -> dict[str, str]:
    return {"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}


def prepare(folder: Path) -> Path:
    """Fashion-MNIST as arrays that workers map into memory."""
    found = mnist.load(images("fashion-mnist"), "fashion-mnist")
    for name, x, y in (
        ("train", found.train_x, found.train_y),
        ("t10k", found.test_x, found.test_y),
    ):
        np.save(folder / f"{name}-x.npy", (x * 255).round().byte().numpy())
        np.save(folder / f"{name}-y.npy", y.byte().numpy())
    return folder


def twelve(
    folder: Path, seed: int, most: int, beta: float | None = None, target: float | None = None
) -> list[Job]:
    """Four of each size, in an order drawn from the seed. Each task has its own seed for data and model."""
    epochs = EPOCHS if beta is None else AT_MOST
    chance = np.random.default_rng(seed)
    jobs = []
    for at, size in enumerate([size for size in SIZES for _ in range(4)]):
        settings = Settings(str(folder), samples(size), 100 * seed + at, epochs, beta, target)
        jobs.append(Job(f"{size}-{at + 1}", size, 1, most, settings))
    return [jobs[at] for at in chance.permutation(len(jobs))]


def samples(size: str) -> int:
    return round(UNIT * SIZES[size])


def sample_s(epoch_s: float) -> float:
    """Seconds of one sample with one worker where `epoch_s` are those of an epoch of a small part."""
    return epoch_s / UNIT


def virtually(
    data: Path,
    jobs: Sequence[Job],
    cluster: Cluster,
    policies: Policies,
    limits: Limits = LIMITS,
    epoch_s: float = PAPER.epoch_s,
    costs: Costs = COSTS,
) -> dict[str, Any]:
    """All jobs to their end. Raises RuntimeError if one fails."""
    charge = Charge(SPEED, sample_s(epoch_s) / cluster.pace, costs.start_s, costs.regroup_s)

    def charges(node: NodeId, run: RunSpec) -> Charge:
        return charge

    async def main(keeper: Timekeeper) -> dict[str, Any]:
        async with virtual_service(keeper, data, cluster.members(), policies, charges, limits) as service:
            await warm(service, environment())
            began, wall, cpu = keeper.now, time.perf_counter(), time.process_time()
            ids = []
            for at, together in groupby(jobs, key=lambda job: job.at):
                await asyncio.sleep(began + at - keeper.now)
                ids += await service.submit_many([job.spec(Resources(gpus=1)) for job in together])
            tasks = await ended(service, [task for task in ids if isinstance(task, str)])
            found = await outcome(service, jobs, tasks, EPOCH + began)
            found["wall_s"] = round(time.perf_counter() - wall, 1)
            found["service_cpu_s"] = round(time.process_time() - cpu, 1)
            found["answers"] = keeper.answers
            return found

    return run_virtually(main)


async def outcome(
    service: Service, jobs: Sequence[Job], tasks: Sequence[Task], began: float
) -> dict[str, Any]:
    """Seconds since `began` and true accuracies of the tasks, in the order of the jobs."""
    rows = []
    for job, task in zip(jobs, tasks, strict=True):
        if task.state != "SUCCEEDED":
            raise RuntimeError(f"{task.id} {task.state}: {task.reason}\n{await _errors(service, task)}")
        metrics = [metric.values for metric in await service.store.metrics(task.id)]
        records = [(r.time, r.kind, r.detail) for _, r in await service.store.records(task=task.id)]
        rows.append(row(job, (task.first_started_at, task.ended_at), metrics, records, began))
    return summary(rows)


def row(
    job: Job,
    times: tuple[float | None, float | None],
    metrics: Sequence[Mapping[str, float]],
    events: Sequence[tuple[float, str, Mapping[str, Any]]],
    began: float,
) -> dict[str, Any]:
    """What became of a job. `times`: of its first start and its end; `events`: time, kind, and detail."""
    started, end = (round((time or 0.0) - began, 1) for time in times)
    workers = [
        (round(time - began, 1), len(detail["members"]))
        for time, kind, detail in events
        if kind == "task-regrouped"
    ]
    accuracies = [round(values["accuracy"], 4) for values in metrics if "accuracy" in values]
    return {
        "name": job.name, "size": job.size, "started_s": started, "ended_s": end, "accuracies": accuracies,
        "workers": workers,
    }  # fmt: skip


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "makespan_s": max(row["ended_s"] for row in rows),
        "accuracy": round(sum(row["accuracies"][-1] for row in rows) / len(rows), 4),
        "epochs": round(sum(len(row["accuracies"]) for row in rows) / len(rows), 1),
        "generations": sum(len(row["workers"]) for row in rows),
        "tasks": rows,
    }


async def _errors(service: Service, task: Task) -> str:
    said = [
        part
        for run in await service.runs(task.id)
        async for part in service.store.log_bytes(task.id, Stream.STDERR, run.id.attempt, run.id.rank)
    ]
    return b"".join(said)[-2000:].decode(errors="replace")
