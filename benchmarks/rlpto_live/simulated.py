"""The same tasks in the simulator, with curves of accuracy fitted to real trainings of other seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import least_squares

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

SHAPE = ("ceiling", "scale", "power", "slowness", "start")  # what is fitted of a curve


def fitted(told: Mapping[int, Sequence[float]]) -> dict[str, float]:
    """The simulator's curve (`AccuracyCurve`) of one size of data, by least squares to the accuracies that
    trainings with one worker and with more told, all at once. `noise`: of single epochs, with one worker."""
    highest = max(max(values) for values in told.values())

    def misses(shape: Sequence[float]) -> list[float]:
        curve = AccuracyCurve(**dict(zip(SHAPE, shape, strict=True)))
        return [
            curve.at(epoch * curve.worth(workers), 0.0) - value
            for workers, values in told.items()
            for epoch, value in enumerate(values, 1)
        ]

    bounds = ((highest, 1e-4, 0.1, 0.0, 0.0), (1, 50, 3, 1.5, 0.9 * highest))
    found = least_squares(misses, (highest + 0.01, 0.1, 0.5, 0.5, 0.1), bounds=bounds).x
    noise = np.std(np.diff(told[1])[-10:]) / np.sqrt(2)
    named = {**dict(zip(SHAPE, found, strict=True)), "noise": noise}
    return {name: round(float(value), 6) for name, value in named.items()}


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
    shape = {name: curve[name] for name in SHAPE}
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
