"""One run of the RLPTO paper's twelve tasks through `scheduler.step`, for training and for the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from trainmaster.domain.task import Task
from trainmaster.policies.allotment.servers import Servers
from trainmaster.policies.base import Allotment
from trainmaster.policies.registry import Profile, build
from trainmaster.scheduler.state import Limits
from trainmaster.simulator.convergence import Converging
from trainmaster.simulator.loop import Arrival, Scenario, Simulation
from trainmaster.simulator.report import Report
from trainmaster.simulator.workload.images import Cluster
from trainmaster.simulator.world import Costs, Lived

CYCLE_S = 140.0  # of the scheduling cycle: about the longest epoch, as section VI.E of the paper has it
COSTS = Costs(start_s=1.0, regroup_s=1.0, report_s=0.0)  # a resize of a live group is faster


@dataclass(frozen=True, slots=True)
class Ended:
    """A task that is done: when it started and ended (s), its name, its accuracy and the epochs it took."""

    started: float
    time: float
    name: str
    accuracy: float
    epochs: int


@dataclass(frozen=True, slots=True)
class Run:
    """`makespan`: until the last of all tasks is done (s). `resizes`: changes of a group."""

    makespan: float
    ends: tuple[Ended, ...]
    resizes: int
    worker_s: float

    @property
    def accuracy(self) -> float:
        return sum(end.accuracy for end in self.ends) / len(self.ends)


def run(
    policy: Allotment,
    cluster: Cluster,
    arrivals: Sequence[Arrival],
    servers: int | None = None,
    ordering: str = "fcfs",
    preemption: str = "none",
    seed: int = 0,
) -> Run:
    """All tasks to their end. `servers`: how many train at once; None leaves it to the policy."""
    ends: list[Ended] = []

    def on_end(task: Task, life: Lived | None) -> None:
        if life is not None and isinstance(life.training, Converging):
            training = life.training
            ends.append(
                Ended(
                    task.first_started_at or 0.0,
                    task.ended_at or 0.0,
                    task.spec.name,
                    training.accuracy,
                    len(training.reported),
                )
            )

    allotment = policy if servers is None else Servers(policy, servers)
    policies = replace(
        build(Profile("images", ordering, "fixed", "binpack", preemption)), allotment=allotment
    )
    limits = Limits(allotment_period_s=CYCLE_S, resize_cooldown_s=CYCLE_S / 2)
    report = Report(on_end)
    Simulation(Scenario(cluster.members(), policies, arrivals, COSTS, limits=limits, seed=seed), report).run()
    return Run(report.makespan, tuple(ends), report.regroups, report.worker_s)
