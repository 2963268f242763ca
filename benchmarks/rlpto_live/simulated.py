"""The same tasks in the simulator, with curves of accuracy fitted to real trainings of other seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import curve_fit

from benchmarks.rlpto_live.task import WINDOW
from benchmarks.rlpto_live.world import LIMITS, SPEED, Job, row, sample_s, samples, summary
from trainmaster.domain.task import Task, TaskSpec
from trainmaster.domain.units import Resources
from trainmaster.policies.convergence import settled
from trainmaster.policies.registry import Policies
from trainmaster.rl.experiment import COSTS
from trainmaster.scheduler.state import Limits, Outcome
from trainmaster.simulator.convergence import AccuracyCurve, Converging, Stop
from trainmaster.simulator.loop import Arrival, Scenario, Simulation
from trainmaster.simulator.report import Report
from trainmaster.simulator.workload.images import PAPER, Cluster
from trainmaster.simulator.world import Costs, Lived


def fitted(alone: Sequence[float], parted: Sequence[float], workers: int) -> dict[str, float]:
    """The simulator's curve (`AccuracyCurve`) of one size of data: by least squares to the accuracies of one
    worker, and what a worker more costs at the end of trainings by `workers`. `noise`: of single epochs."""
    mean = np.array(alone)
    epochs = np.arange(1, len(mean) + 1, dtype=float)

    def curve(e: np.ndarray, ceiling: float, scale: float, power: float) -> np.ndarray:
        first = (scale / max(ceiling - 0.1, 1e-6)) ** (1 / power)
        return ceiling - scale * (e + first) ** -power

    (ceiling, scale, power), _ = curve_fit(
        curve, epochs, mean, p0=(mean.max() + 0.01, 0.1, 0.5), bounds=((mean.max(), 1e-4, 0.1), (1, 5, 3))
    )
    last = slice(-10, None)
    cost = float(mean[last].mean() - np.mean(parted[last]))
    noise = float(np.std(np.diff(mean)[last]) / np.sqrt(2))
    found = {"ceiling": ceiling, "scale": scale, "power": power, "shard": max(cost, 0.0) / (workers - 1)}
    return {name: round(float(value), 6) for name, value in {**found, "noise": noise}.items()}


def simulate(
    jobs: Sequence[Job],
    curves: Mapping[str, Mapping[str, float]],
    cluster: Cluster,
    policies: Policies,
    limits: Limits = LIMITS,
    epoch_s: float = PAPER.epoch_s,
    costs: Costs = COSTS,
) -> dict[str, Any]:
    """As `world.virtually`, with modelled accuracies instead of gradients."""
    lives: dict[str, tuple[Task, Lived]] = {}
    events: dict[str, list[tuple[float, str, Mapping[str, Any]]]] = {}

    def on_end(task: Task, life: Lived | None) -> None:
        assert life is not None
        lives[task.spec.name] = (task, life)

    simulation = Simulation(
        Scenario(
            cluster.members(), policies, [_arrival(job, curves[job.size], epoch_s, cluster) for job in jobs],
            costs, limits=limits,
        ),
        _Watching(on_end, events),
    )  # fmt: skip
    simulation.run()
    rows = []
    for job in jobs:
        task, life = lives[job.name]
        assert isinstance(life.training, Converging)
        times = (task.first_started_at, task.ended_at)
        told = [{"accuracy": value} for value in life.training.reported]
        rows.append(row(job, times, told, events.get(job.name, []), 0.0))
    return summary(rows)


def _arrival(job: Job, curve: Mapping[str, float], epoch_s: float, cluster: Cluster) -> Arrival:
    settings = job.settings
    shape = {name: curve[name] for name in ("ceiling", "scale", "power", "shard")}
    noise = np.random.default_rng(settings.seed).normal(0.0, curve["noise"], settings.epochs)
    training = Converging(
        AccuracyCurve(**shape), SPEED, sample_s(epoch_s) * samples(job.size) / cluster.pace, settings.epochs,
        _stop(settings.beta, settings.target), tuple(noise), samples(job.size),
    )  # fmt: skip
    spec = TaskSpec(
        job.name, command=("train",), resources=Resources(gpus=1), min_workers=job.least, max_workers=job.most
    )
    return Arrival(job.at, spec, training)


def _stop(beta: float | None, target: float | None) -> Stop | None:
    """`task.Stop`, as the simulator has it."""
    if beta is None and target is None:
        return None

    def stop(values: Sequence[float]) -> bool:
        reached = target is not None and values[-1] >= target
        return reached or (beta is not None and settled(values, beta, WINDOW))

    return stop


class _Watching(Report):
    """Also keeps the history of each task, by its name."""

    def __init__(self, on_end: Any, events: dict[str, list[tuple[float, str, Mapping[str, Any]]]]) -> None:
        super().__init__(on_end)
        self._events = events
        self._names: dict[str, str] = {}

    def take(self, outcome: Outcome, now: float) -> None:
        super().take(outcome, now)
        self._names |= {task.id: task.spec.name for task in outcome.tasks.values()}
        for record in outcome.records:
            if record.task is not None:
                event = (now, str(record.kind), record.detail)
                self._events.setdefault(self._names[record.task], []).append(event)
