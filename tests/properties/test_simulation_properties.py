"""Whole runs, whatever the policies, tasks and faults: within bounds at every step, and the same twice."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from trainmaster.domain.cluster import Node
from trainmaster.domain.history import RecordKind
from trainmaster.domain.ids import NodeId, TaskId
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.task import Elasticity, TaskSpec
from trainmaster.domain.units import Resources
from trainmaster.policies.allotment.pollux import Pollux
from trainmaster.policies.registry import ALLOTMENTS, ORDERINGS, PLACEMENTS, Profile, build
from trainmaster.scheduler import invariants
from trainmaster.scheduler.state import Limits, Outcome
from trainmaster.simulator.faults import Faults
from trainmaster.simulator.informed import Informed
from trainmaster.simulator.loop import Arrival, Scenario, Simulation
from trainmaster.simulator.report import Report
from trainmaster.simulator.speed import Scaling, Usl
from trainmaster.simulator.world import Costs

WAITING = (TaskState.QUEUED, TaskState.INTERRUPTED)
LIMITS = Limits(resize_cooldown_s=7.0, restart_cooldown_s=20.0, allotment_period_s=5.0)


@st.composite
def workloads(draw: Any) -> list[dict[str, Any]]:
    rows, time = [], 0.0
    for _ in range(draw(st.integers(1, 7))):
        time += draw(st.sampled_from([0.0, 1.0, 9.5, 40.0]))
        least = draw(st.integers(1, 3))
        rows.append(
            {
                "time": time,
                "least": least,
                "most": least + draw(st.integers(0, 5)),
                "seconds": draw(st.floats(1.0, 200.0)),
                "serial": draw(st.floats(0.0, 0.5)),
                "elasticity": draw(st.sampled_from(Elasticity)),
                "preemptible": draw(st.booleans()),
            }
        )
    return rows


class Watched(Report):
    """Checks every step."""

    def __init__(self) -> None:
        super().__init__()
        self.simulation: Simulation | None = None
        self.resized: dict[TaskId, float] = {}

    def take(self, outcome: Outcome, now: float) -> None:
        super().take(outcome, now)
        assert self.simulation is not None
        state = self.simulation.state
        invariants.check(state)
        for record in outcome.records:
            if record.kind is RecordKind.TASK_RESIZING and record.task is not None:
                task, workers = state.tasks[record.task], record.detail["workers"]
                restarts = task.spec.elasticity is Elasticity.RESTART
                cooldown = LIMITS.restart_cooldown_s if restarts else LIMITS.resize_cooldown_s
                before = self.resized.get(task.id, -1e9)
                if now - before < cooldown - 1e-9:
                    assert not restarts, f"{task.id} restarted at {before} and {now}"
                    assert workers < record.detail["before"], f"{task.id} grew at {before} and {now}"
                    waits = any(other.state in WAITING for other in state.tasks.values())
                    assert waits, f"{task.id} shrank at {before} and {now}, for nobody who waits"
                self.resized[task.id] = now
                # What the loss of a node left below the minimum comes back as there is room.
                assert workers >= min(task.spec.min_workers, record.detail["before"] + 1)
            if record.kind is RecordKind.TASK_ACCEPTED and record.task is not None:
                spec = state.tasks[record.task].spec
                assert spec.min_workers <= record.detail["workers"] <= spec.max_workers


def simulation(
    rows: list[dict[str, Any]],
    profile: Profile,
    faults: Faults,
    seed: int,
    knows: bool,
) -> Simulation:
    nodes = [Node(NodeId(f"n{at}"), Resources(gpus=4)) for at in range(2)]
    arrivals = [
        Arrival(
            row["time"],
            TaskSpec(
                "t", command=("t",), resources=Resources(gpus=1), min_workers=row["least"],
                max_workers=row["most"], elasticity=row["elasticity"], preemptible=row["preemptible"],
            ),
            Scaling(row["seconds"], Usl(row["serial"])),
        )
        for row in rows
    ]  # fmt: skip
    costs = Costs(
        start_s=0.5, restart_s=2, ready_s=0.5, regroup_s=0.1, stop_s=0.3, checkpoint_s=5, report_s=10
    )
    policies = build(profile)
    if profile.allotment == "pollux":  # a search as long as in earnest would take most of the time
        policies = replace(policies, allotment=Pollux(population=20, generations=5))
    watched = Watched()
    made = Simulation(
        Scenario(
            nodes, policies, arrivals, costs, faults.over(nodes, seed), seed=seed, limits=LIMITS, until=5e4
        ),
        watched,
    )
    watched.simulation = made
    if knows:
        informed = Informed(policies.allotment, made.world.training)
        made.state.policies = replace(policies, allotment=informed)
    return made


@given(
    rows=workloads(),
    allotment=st.sampled_from(sorted(ALLOTMENTS)),
    ordering=st.sampled_from(sorted(ORDERINGS)),
    placement=st.sampled_from(sorted(PLACEMENTS)),
    faults=st.builds(Faults, lost_every_s=st.sampled_from([0.0, 300.0]), back_after_s=st.just(20.0)),
    seed=st.integers(0, 3),
    knows=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_whole_runs(
    rows: list[dict[str, Any]],
    allotment: str,
    ordering: str,
    placement: str,
    faults: Faults,
    seed: int,
    knows: bool,
) -> None:
    profile = Profile("test", ordering, allotment, placement, "none")
    said = []
    for _ in range(2):
        made = simulation(rows, profile, faults, seed, knows)
        said.append(json.dumps(made.run().to_dict()))
        assert not made.world.lives, "nothing is left behind"
        assert made.report.jct.count == len(rows) or made.report.ends["FAILED"], "all come to their end"
    assert said[0] == said[1], "the same seed, the same run, to the byte"
