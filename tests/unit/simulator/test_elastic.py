"""Groups in the simulator: the very commands and reports of live ones."""

from __future__ import annotations

import pytest

from trainmaster.domain.cluster import Node
from trainmaster.domain.ids import NodeId
from trainmaster.domain.task import TaskSpec
from trainmaster.domain.units import Resources
from trainmaster.policies.registry import Profile, build
from trainmaster.scheduler.state import Limits
from trainmaster.simulator.loop import Arrival, Scenario, Simulation
from trainmaster.simulator.report import Report
from trainmaster.simulator.speed import Scaling, Usl
from trainmaster.simulator.world import Costs


def simulated(seconds: list[float], allotment: str, **costs: float) -> Report:
    spec = TaskSpec("job", command=("t",), resources=Resources(gpus=1), min_workers=1, max_workers=4)
    arrivals = [Arrival(10.0 * at, spec, Scaling(length, Usl())) for at, length in enumerate(seconds)]
    nodes = [Node(NodeId("n0"), Resources(gpus=4))]
    policies = build(Profile("test", "fcfs", allotment, "binpack", "none"))
    limits = Limits(resize_cooldown_s=0)
    return Simulation(Scenario(nodes, policies, arrivals, Costs(**costs), limits=limits)).run()


def test_a_second_task_takes_half_and_gives_it_back() -> None:
    """80 s of work on 4 workers: 10 s alone leave 40; then both have 2 until the second's 20 are done."""
    report = simulated([80, 20], "fair")
    assert report.jct.count == 2 and report.regroups >= 4
    assert report.jct.total == pytest.approx((10 + 10 + 20 / 4) + 10)
    assert report.worker_s == pytest.approx(80 + 20)


def test_resizing_costs_what_it_costs() -> None:
    free, dear = simulated([80, 20], "fair"), simulated([80, 20], "fair", regroup_s=1.0)
    assert dear.jct.total > free.jct.total + 2
    assert dear.worker_s == pytest.approx(100)


@pytest.mark.parametrize("name", ["drf", "optimus", "slaq", "weighted_delay", "afs", "marginal_goodput"])
def test_every_policy_brings_all_to_their_end(name: str) -> None:
    report = simulated([60, 30, 90, 10, 40, 20], name, start_s=0.5, ready_s=0.5, regroup_s=0.2, stop_s=0.1)
    assert report.ends == {"SUCCEEDED": 6}
