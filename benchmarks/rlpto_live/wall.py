"""Four small tasks on the wall clock, in virtual time and simulated, under a profile that a service ships.

On the wall clock every worker also sleeps as long as the model of speed says, so that four of them need not
four quiet cores. What beginning costs is measured on a training of its own before.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.live import Live

from benchmarks.rlpto_live.simulated import simulate
from benchmarks.rlpto_live.world import (
    SCRIPT,
    SPEED,
    Job,
    Settings,
    environment,
    row,
    sample_s,
    samples,
    summary,
    virtually,
)
from trainmaster.client import Client
from trainmaster.policies.registry import named
from trainmaster.scheduler.state import Limits
from trainmaster.simulator.workload.images import Cluster
from trainmaster.simulator.world import Costs

NODES = 4
CLUSTER = Cluster(NODES, NODES)
EPOCH_S = 3.0  # of a small part on one node
EPOCHS = 10
REGROUP_S = 0.05  # docs/results/elastic.md: the stall of a resize
JOBS = (("small", 0.0), ("big", 0.0), ("medium", 10.0), ("small", 20.0))  # size, submitted at


def workload(folder: Path) -> list[Job]:
    return [
        Job(f"{size}-{at + 1}", size, 1, NODES, Settings(str(folder), samples(size), 700 + at, EPOCHS), when)
        for at, (size, when) in enumerate(JOBS)
    ]


def check(folder: Path, fits: Mapping[str, Any], say: Callable[[str], None]) -> dict[str, Any]:
    """By profile: the live run on the wall clock, the one in virtual time, and the simulated one."""
    jobs, found = workload(folder), {}
    for profile in ("default", "rlpto"):
        wall, start_s = on_the_wall(jobs, profile)
        with tempfile.TemporaryDirectory(prefix="trainmaster-") as data:
            virtual = virtually(
                Path(data), jobs, CLUSTER, named(profile), Limits(), EPOCH_S, charged(start_s)
            )
        model = simulated(jobs, profile, start_s, fits)
        found[profile] = {"start_s": start_s, "wall": wall, "virtual": virtual, "simulated": model}
        for name, run in found[profile].items():
            if isinstance(run, dict):
                say(f"{profile:8} {name:10} {run['makespan_s']:6.1f} s {100 * run['accuracy']:.2f} %")
                for one in run["tasks"]:
                    say(f"   {one['name']:10} {one['started_s']:6.1f} {one['ended_s']:6.1f} {one['workers']}")
    return found


def simulated(jobs: list[Job], profile: str, start_s: float, fits: Mapping[str, Any]) -> dict[str, Any]:
    return simulate(jobs, fits, CLUSTER, named(profile), Limits(), EPOCH_S, charged(start_s))


def charged(start_s: float) -> Costs:
    return Costs(start_s=start_s, regroup_s=REGROUP_S, report_s=0.0)


def on_the_wall(jobs: list[Job], profile: str) -> tuple[dict[str, Any], float]:
    """The run, and seconds from a submission to the begin of training."""
    each = tuple(sample_s(EPOCH_S) * w / SPEED.rate(w) for w in range(1, NODES + 1))
    with tempfile.TemporaryDirectory(prefix="trainmaster-") as name:
        live = Live(
            Path(name) / "data", nodes=NODES, cores=float(NODES), profile=profile, leave_running=False
        )
        live.start()
        try:
            with Client(live.url, live.token, timeout=60.0) as client:
                start_s = _calibrated(client, jobs[0])
                began, ids = time.time(), []
                for at, together in groupby(jobs, key=lambda job: job.at):
                    time.sleep(max(began + at - time.time(), 0.0))
                    slow = [replace(job, settings=replace(job.settings, sample_s=each)) for job in together]
                    ids += _submit(client, slow)
                rows = []
                for job, task in zip(jobs, ids, strict=True):
                    ended = client.wait(task, timeout=300.0)
                    if not ended.ok:
                        raise RuntimeError(f"{task} {ended.state}: {ended.reason}")
                    times = (ended.first_started_at, ended.ended_at)
                    events = [(e.time, e.kind, e.detail) for e in client.events(task)]
                    rows.append(row(job, times, [m.values for m in client.metrics(task)], events, began))
        finally:
            live.stop()
    return summary(rows), start_s


def _calibrated(client: Client, job: Job) -> float:
    """Of the second of two short trainings: it starts warm, as later ones do."""
    for _ in range(2):
        (task,) = _submit(client, [replace(job, settings=replace(job.settings, epochs=1))])
        client.wait(task, timeout=120.0)
    begun = next(event.time for event in client.events(task) if event.kind == "task-regrouped")
    return round(begun - client.task(task).submitted_at, 3)


def _submit(client: Client, jobs: list[Job]) -> list[str]:
    tasks = [
        {
            "name": job.name,
            "command": [sys.executable, str(SCRIPT), job.settings.to_json()],
            "environment": environment(),
            "workers": f"{job.least}..{job.most}",
            "cpus": 1.0,
        }
        for job in jobs
    ]
    return [one.id for one in client.submit_many(tasks) if one.id is not None]
