"""torchrun's own elasticity, with our plans: a script for torchrun grows in one attempt."""

from __future__ import annotations

import itertools

from tests.train.coordinator import Coordinator
from tests.train.test_group import Coordinate, finish


def steps(group: Coordinator) -> list[tuple[int, int]]:
    """(step, world) of every step of the first process."""
    path = group.folder / "steps"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [(int(line.split()[0]), int(line.split()[1])) for line in lines]


def trains(group: Coordinator, world: int) -> None:
    group.until(lambda: bool(steps(group)) and steps(group)[-1][1] == world, f"a world of {world}")


def test_a_script_for_torchrun_gains_a_worker(coordinate: Coordinate) -> None:
    group = coordinate("under_torchrun.py")
    a, b = group.start_ready(), group.start_ready()
    group.change(a)
    trains(group, 1)
    group.change(a, b)
    trains(group, 2)
    (group.folder / "enough").touch()
    finish(group, a, b)
    done = [step for step, _ in steps(group)]
    assert all(after in (before, before + 1) for before, after in itertools.pairwise(done))
