"""The loop, the world and the report: the same run twice, faults, memory, and what is refused."""

from __future__ import annotations

import itertools
import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import pytest

from trainmaster.domain.cluster import Node, Quota
from trainmaster.domain.commands import Command
from trainmaster.domain.events import NodeJoined, NodeVanished, QuotaChanged
from trainmaster.domain.ids import NodeId, UserName
from trainmaster.domain.task import TaskSpec
from trainmaster.domain.units import Resources
from trainmaster.policies.registry import Profile, build
from trainmaster.scheduler import invariants
from trainmaster.simulator.errors import BadSetting, Stalled
from trainmaster.simulator.faults import Faults, Straggler
from trainmaster.simulator.loop import Arrival, Scenario, Simulation
from trainmaster.simulator.report import EXACT, Quantiles
from trainmaster.simulator.speed import Scaling, Usl
from trainmaster.simulator.training import Length
from trainmaster.simulator.workload.synthetic import Lengths, synthetic
from trainmaster.simulator.world import Costs

NODES = [Node(NodeId(f"n{i}"), Resources(gpus=4)) for i in range(4)]


def scenario(arrivals: Iterator[Arrival] | list[Arrival], **fields: object) -> Scenario:
    policies = build(Profile("test", "backfill", "fixed", "binpack", "none"))
    return Scenario(NODES, policies, arrivals, **fields)  # type: ignore[arg-type]


def job(gpus: int = 1, workers: int = 1, seconds: float = 10.0, at: float = 0.0) -> Arrival:
    spec = TaskSpec(
        "job", command=("train",), resources=Resources(gpus=gpus), min_workers=workers, max_workers=workers
    )
    return Arrival(at, spec, Length(seconds))


def test_times_are_exact() -> None:
    """Two jobs of the whole cluster run one after the other; starting costs 2 s each."""
    jobs = [job(4, 4, 10, at=1), job(4, 4, 5, at=3)]
    report = Simulation(scenario(jobs, costs=Costs(start_s=2))).run()
    assert report.jct.total == pytest.approx(12 + 17)
    assert report.wait.total == pytest.approx(2 + 12)
    assert report.makespan == pytest.approx(19)
    assert report.worker_s == pytest.approx(4 * 10 + 4 * 5)


def test_what_takes_less_time_than_the_clock_can_tell_ends_all_the_same() -> None:
    report = Simulation(scenario([job(seconds=1e-12, at=1e6)])).run()
    assert report.jct.count == 1


def test_the_same_seed_gives_the_same_bytes() -> None:
    def once(seed: int) -> str:
        report = Simulation(scenario(synthetic(200, 5.0, Lengths(), seed, gpus=(1, 2, 4)))).run()
        return json.dumps(report.to_dict())

    assert once(1) == once(1) != once(2)


def test_every_state_on_the_way_is_sound_and_nothing_is_over_allotted() -> None:
    simulation = Simulation(scenario(synthetic(60, 5.0, Lengths(), 3, gpus=(1, 2, 4)), costs=Costs(stop_s=1)))
    obey, seen = simulation.world.obey, 0

    def checked(commands: list[Command], now: float) -> None:
        nonlocal seen
        invariants.check(simulation.state)
        seen += 1
        obey(commands, now)

    simulation.world.obey = checked  # type: ignore[method-assign, assignment]
    report = simulation.run()
    assert seen > 100 and report.ends == {"SUCCEEDED": 60}


def test_a_lost_node_costs_what_was_not_saved() -> None:
    faults = [(7.0, NodeVanished(NodeId("n0"))), (50.0, NodeJoined(NODES[0]))]
    jobs = [job(4, 4, 10)]
    report = Simulation(scenario(jobs, faults=faults, costs=Costs(checkpoint_s=100))).run()
    assert report.restarts == 1
    assert report.jct.total == pytest.approx(50 + 10), "it waits for the node and begins anew"
    saved = Simulation(scenario([job(4, 4, 10)], faults=faults)).run()
    assert saved.jct.total == pytest.approx(50 + 3), "with checkpoints at every moment nothing is lost"


def test_a_slow_node_slows_its_training() -> None:
    slow = Simulation(scenario([job(4, 1, 10)], faults=[(4.0, Straggler(NodeId("n0"), 0.5))]))
    assert slow.run().jct.total == pytest.approx(4 + 12)
    unlike = Simulation(scenario([job(4, 1, 10)], paces={NodeId("n0"): 2.0}))
    assert unlike.run().jct.total == pytest.approx(5)


def test_faults_come_by_seed_and_everything_ends_all_the_same() -> None:
    faults = Faults(lost_every_s=300, back_after_s=30, slow_every_s=200, slow_for_s=50)

    def once(seed: int) -> str:
        jobs = synthetic(100, 5.0, Lengths(), 1, gpus=(1, 2, 4))
        costs = Costs(checkpoint_s=20, restart_s=2)
        run = Simulation(scenario(jobs, faults=faults.over(NODES, seed), costs=costs))
        return json.dumps(run.run().to_dict())

    assert once(1) == once(1) != once(2)
    told = json.loads(once(1))
    assert told["submitted"] == 100 == sum(told["ended"].values())
    assert told["restarts"] > 3 and told["node_hours"] < 4 * told["makespan_s"] / 3600


def test_faults_without_end_do_not_hide_that_nothing_happens() -> None:
    faults = Faults(lost_every_s=300, back_after_s=30)
    never = job(4, 4)  # no node is ever four nodes
    lone = Scenario(NODES[:1] * 1, scenario([]).policies, [replace(never, time=0.0)])
    assert Simulation(lone).run().refusals == {"unplaceable": 1}
    with pytest.raises(Stalled):
        quota = (0.0, QuotaChanged(Quota(UserName("local"), running_workers=0), UserName("local")))
        Simulation(scenario([job()], faults=itertools.chain([quota], faults.over(NODES, 0)))).run()
    with pytest.raises(BadSetting, match="pace"):
        Faults(pace=2)


def test_a_training_across_clusters_is_slower() -> None:
    def took(clusters: int) -> float:
        nodes = [replace(node, labels=(("cluster", f"c{at % clusters}"),)) for at, node in enumerate(NODES)]
        spec = replace(job(4, 4).spec, min_workers=4)
        training = Scaling(40, Usl(), across=0.5)
        run = Scenario(nodes, scenario([]).policies, [Arrival(0.0, spec, training)])
        return Simulation(run).run().jct.total

    assert (took(1), took(2)) == (pytest.approx(10), pytest.approx(20))


def test_what_can_never_run_is_refused_and_what_never_ends_is_named() -> None:
    assert Simulation(scenario([job(gpus=5)])).run().refusals == {"unplaceable": 1}
    with pytest.raises(Stalled) as caught:
        Simulation(scenario([job(4, 4, at=2.0)], faults=[(1.0, NodeVanished(NodeId("n0")))])).run()
        Simulation(scenario([job(4, 4)], faults=[(1.0, NodeVanished(NodeId("n0")))])).run()
    assert caught.value.fields["tasks"]


def test_decisions_in_rounds_wait_for_the_round() -> None:
    report = Simulation(scenario([job(1, 1, 10, at=1)], round_s=60)).run()
    assert report.jct.total == pytest.approx(69)


def test_memory_grows_with_live_tasks_not_with_all() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        Simulation(scenario(synthetic(count, 5.0, Lengths(median_s=5.0), 0))).run()
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(100)
    assert peak(4000) < 1.5 * peak(1000) + 100_000


def test_bad_settings_are_named() -> None:
    with pytest.raises(BadSetting, match="round_s"):
        Simulation(scenario([], round_s=-1))
    with pytest.raises(BadSetting, match="in order of time"):
        Simulation(scenario([job(at=5), job(at=1)])).run()
    with pytest.raises(BadSetting, match="start_s"):
        Costs(start_s=-1)
    with pytest.raises(BadSetting, match="seconds"):
        Length(0)
    with pytest.raises(BadSetting, match="nodes"):
        Simulation(replace(scenario([]), nodes=[]))


def test_quantiles_are_exact_for_few_and_close_for_many() -> None:
    few, many = Quantiles(), Quantiles()
    for value in range(1, 101):
        few.add(float(value))
    assert (few.mean, few.at(0.5), few.at(0.99), few.most) == (50.5, 50, 99, 100)
    for value in range(1, EXACT * 3 + 1):
        many.add(float(value))
    assert many.at(0.5) == pytest.approx(EXACT * 1.5, rel=0.006)
    assert many.mean == pytest.approx((EXACT * 3 + 1) / 2)
