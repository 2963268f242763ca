"""The future of a simulated present is what happens then."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.scenario import World, spec
from trainmaster.domain.cluster import Node
from trainmaster.domain.events import NodeFellSilent, NodeVanished
from trainmaster.domain.ids import NodeId, RunId, TaskId
from trainmaster.domain.run import Run, RunState
from trainmaster.domain.task import Task
from trainmaster.domain.units import Resources
from trainmaster.policies.registry import PROFILES, Profile, build
from trainmaster.ports import Past
from trainmaster.scheduler.state import Outcome, State
from trainmaster.simulator.foresight import Foresight, Present, look_ahead
from trainmaster.simulator.loop import Arrival, Scenario, Simulation
from trainmaster.simulator.report import Report
from trainmaster.simulator.speed import Scaling, Usl
from trainmaster.simulator.training import Length

NODES = [Node(NodeId(f"n{number}"), Resources(cpu_m=2000)) for number in range(3)]
NOW = 300.0


class _Noted(Report):
    """Keeps every run and every ended task."""

    def __init__(self) -> None:
        super().__init__(on_end=lambda task, _: self.tasks.__setitem__(task.id, task))
        self.runs: dict[RunId, Run] = {}
        self.tasks: dict[TaskId, Task] = {}

    def take(self, outcome: Outcome, now: float) -> None:
        super().take(outcome, now)
        self.runs.update(outcome.runs)


def seen(state: State, runs: dict[RunId, Run], now: float, profile: Profile, *pasts: Past) -> Foresight:
    live = [run for siblings in state.runs.values() for run in siblings.values()]
    stored = [
        Past(task, tuple(run for run in runs.values() if run.id.task == task.id), task.attempt)
        for task in state.tasks.values()
    ]
    return look_ahead(
        Present(
            now, profile, list(state.nodes.values()), list(state.tasks.values()), live, [],
            dict(state.learned), [*stored, *pasts], dict(state.drained),
        )
    )  # fmt: skip


def foretold(
    arrivals: Callable[[], list[Arrival]], profile: Profile
) -> list[tuple[float | None, float, float | None, float]]:
    """Of each task alive at NOW: start as foretold and as it came, end as foretold and as it came; seconds
    from then."""
    whole, half = _Noted(), _Noted()
    Simulation(Scenario(NODES, build(profile), arrivals()), whole).run()
    simulation = Simulation(Scenario(NODES, build(profile), arrivals(), until=NOW), half)
    simulation.run()
    foresight = seen(simulation.state, half.runs, NOW, profile)
    found = []
    for task in simulation.state.tasks.values():
        told, truly = foresight.tasks[task.id], whole.tasks[task.id]
        assert told.guesses == 0
        start = max((truly.first_started_at or 0.0) - NOW, 0.0)
        found.append((told.starts_in_s, start, told.ends_in_s, (truly.ended_at or 0.0) - NOW))
    return found


@pytest.mark.parametrize("seed", range(6))
def test_of_rigid_tasks_to_the_moment(seed: int) -> None:
    rng = random.Random(seed)
    profile = Profile("test", rng.choice(["fcfs", "sjf", "backfill"]), "fixed", "binpack", "none")
    jobs = []
    for number in range(40):
        seconds, workers, cpus = rng.uniform(50, 500), rng.choice([1, 1, 2]), rng.choice([1, 2])
        wanted = spec(
            f"job-{number}", cpus=cpus, min_workers=workers, max_workers=workers, estimate_s=seconds
        )
        jobs.append((float(number), wanted, seconds))
    rows = foretold(lambda: [Arrival(time, wanted, Length(s)) for time, wanted, s in jobs], profile)
    assert sum(start > 0 for _, start, _, _ in rows) > 10
    for told_start, start, told_end, end in rows:
        assert (told_start, told_end) == (pytest.approx(start, abs=1e-6), pytest.approx(end, abs=1e-6))


@pytest.mark.parametrize("seed", range(4))
def test_of_elastic_ones_nearly(seed: int) -> None:
    """All but the pauses of their resizes, which this world has none of, and when they are looked at."""
    rng = random.Random(seed)
    profile = Profile("test", "fcfs", "fair", "least_loaded", "none")
    speed = Usl(0.1)
    jobs = []
    for number in range(16):
        seconds = rng.uniform(100, 400)
        wanted = spec(f"job-{number}", min_workers=1, max_workers=rng.choice([2, 4]), estimate_s=seconds)
        jobs.append((number * 20.0, wanted, seconds))
    rows = foretold(lambda: [Arrival(time, wanted, Scaling(s, speed)) for time, wanted, s in jobs], profile)
    assert sum(start > 0 for _, start, _, _ in rows) > 3
    for told_start, start, told_end, end in rows:
        assert told_start == pytest.approx(start, rel=0.05, abs=10)
        assert told_end == pytest.approx(end, rel=0.05, abs=10)


def test_lengths_are_learnt_from_those_of_the_same_name_and_else_guessed() -> None:
    world = World({"n1": 1})
    (earlier,) = world.submit(spec("nightly"))
    world.start(earlier)
    world.end(earlier, after=120)
    run = Run(
        RunId(earlier, 1, 0),
        NodeId("n1"),
        spec().resources,
        RunState.EXITED,
        (),
        0,
        world.now - 120,
        world.now,
    )
    past = Past(world.final[earlier], (run,))
    running, following, last = world.submit(spec("nightly"), spec("new"), spec("other"))
    world.start(running)
    world.do(after=30)
    runs = {run.id: run for run in world.state.runs[running].values()}
    told = seen(world.state, runs, world.now, PROFILES["default"], past).tasks
    assert told[running].ends_in_s == pytest.approx(90)
    assert (told[following].starts_in_s, told[following].guesses) == (pytest.approx(90), 0)
    assert (told[last].starts_in_s, told[last].guesses) == (pytest.approx(210), 1), "as long as the usual"
    (never,) = world.submit(spec("alone"))
    world.do(NodeFellSilent(NodeId("n1")), NodeVanished(NodeId("n1")))
    told = seen(world.state, runs, world.now, PROFILES["default"], past).tasks
    assert told[never].starts_in_s is None
