"""The real service, agents and training in virtual time: the same is learnt, in the time of the model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

from tests.live import SOURCE
from tests.train.coordinator import SCRIPTS, Coordinator
from tests.train.test_group import Coordinate, finish
from trainmaster.bootstrap.virtual import ended, run_virtually, virtual_service, warm
from trainmaster.domain.cluster import Node
from trainmaster.domain.ids import NodeId
from trainmaster.domain.task import TaskSpec
from trainmaster.domain.units import Resources
from trainmaster.policies.registry import named
from trainmaster.service.service import Service
from trainmaster.simulator.live.charges import Charge
from trainmaster.simulator.live.timekeeper import Timekeeper
from trainmaster.simulator.loop import Arrival, Scenario, Simulation
from trainmaster.simulator.speed import Scaling, Usl
from trainmaster.simulator.world import Costs

SIZE, BATCH = 1280, 64  # samples, of which a worker alone takes a batch a second
SPEED = Usl(0.1)
CHARGE = Charge(SPEED, 1 / BATCH, start_s=1.0, regroup_s=1.0)
NODES = [Node(NodeId(f"n{at}"), Resources(cpu_m=1000)) for at in range(4)]
COMMON = {"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
# Name: epochs, least and most workers, mode. The last waits for room, and who is left grows.
TASKS = {
    "a": (2, 1, 4, "sync"),
    "b": (4, 1, 4, "sync"),
    "c": (1, 2, 2, "local_sgd"),
    "d": (2, 2, 2, "local_sgd"),
}


def settings(epochs: int, mode: str) -> dict[str, str]:
    """Of `small.py`. Equal shares: on the wall clock others could come out."""
    return {"EPOCHS": str(epochs), "MODE": mode, "SIZE": str(SIZE), "SHARES": "equal"}


def spec(
    name: str, least: int, most: int, command: tuple[str, ...], environment: tuple[tuple[str, str], ...] = ()
) -> TaskSpec:
    return TaskSpec(
        name,
        command=command,
        resources=Resources(cpu_m=1000),
        min_workers=least,
        max_workers=most,
        environment=environment,
    )


def specs(folder: Path) -> list[TaskSpec]:
    found = []
    for name, (epochs, least, most, mode) in TASKS.items():
        (folder / name).mkdir(parents=True)
        env = COMMON | {"FOLDER": str(folder / name)} | settings(epochs, mode)
        command = (sys.executable, str(SCRIPTS / "small.py"))
        found.append(spec(name, least, most, command, tuple(env.items())))
    return found


async def run(service: Service, folder: Path) -> tuple[float, list[Any]]:
    """The makespan and the history: what was decided when."""
    before = service.clock.now()
    tasks = await ended(service, await service.submit_many(specs(folder)))  # type: ignore[arg-type]
    assert [task.state for task in tasks] == ["SUCCEEDED"] * len(TASKS), [task.reason for task in tasks]
    history = []
    for task in tasks:
        history += [
            (task.spec.name, round(record.time - before, 6), record.kind, record.detail.get("members"))
            for _, record in await service.store.records(task=task.id)
        ]
    return max(task.ended_at or 0.0 for task in tasks) - before, history


def test_four_tasks_learn_what_they_do_on_the_wall_clock(coordinate: Coordinate, tmp_path: Path) -> None:
    async def main(keeper: Timekeeper) -> list[tuple[float, list[Any]]]:
        async with virtual_service(
            keeper, tmp_path / "data", NODES, named("default"), lambda node, run: CHARGE
        ) as service:
            await warm(service, COMMON)
            return [await run(service, tmp_path / "one"), await run(service, tmp_path / "two")]

    (makespan, history), again = run_virtually(main)

    grown = [members for name, _, _, members in history if name == "b" and members]
    assert len(grown) >= 2 and len(grown[-1]) > len(grown[0]), "it was resized on its way"
    assert (makespan, history) == again, "the same is decided at the same moments"
    for name, (epochs, least, _, mode) in TASKS.items():
        wall = coordinate("small.py", **settings(epochs, mode))
        workers = [wall.start_ready() for _ in range(least)]
        wall.change(*workers)
        finish(wall, *workers)
        for folder in (tmp_path / "one", tmp_path / "two"):
            assert difference(folder / name, wall) <= 1e-12
    assert abs(makespan / simulated() - 1) <= 0.05


def simulated() -> float:
    """The makespan of the same tasks by the simulator."""
    arrivals = [
        Arrival(0.0, spec(name, least, most, ("t",)), Scaling(epochs * SIZE / BATCH, SPEED))
        for name, (epochs, least, most, _) in TASKS.items()
    ]
    costs = Costs(start_s=1.0, regroup_s=1.0)
    return Simulation(Scenario(NODES, named("default"), arrivals, costs)).run().makespan


def difference(folder: Path, other: Coordinator) -> float:
    """The largest between the weights of two trainings."""
    here, there = (torch.load(at / "model.pt") for at in (folder, other.folder))
    return max(float((here[name] - there[name]).abs().max()) for name in here)
