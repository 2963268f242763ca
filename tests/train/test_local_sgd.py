"""Models averaged every k steps, while workers come, go and die."""

from __future__ import annotations

import signal

import torch

from tests.train.coordinator import Coordinator
from tests.train.test_group import Coordinate, alone, at_step, difference, finish


def assert_same_models(group: Coordinator, one: int, other: int) -> None:
    here, there = (torch.load(group.folder / f"model-{rank}.pt") for rank in (one, other))
    assert all(torch.equal(here[name], there[name]) for name in here)


def test_averaging_after_every_step_is_training_on_both_batches(coordinate: Coordinate) -> None:
    one = alone(coordinate, MOMENTUM="0", EPOCHS="5", BATCH="64")
    env = {"MODE": "local_sgd", "EVERY": "1", "SHARES": "equal"}
    group = coordinate("small.py", MOMENTUM="0", EPOCHS="5", BATCH="32", **env)
    a, b = group.start_ready(), group.start_ready()
    group.change(a, b)
    finish(group, a, b)
    assert difference(one, group) <= 1e-12
    assert_same_models(group, a, b)


def test_workers_join_and_die_between_rounds(coordinate: Coordinate) -> None:
    group = coordinate("small.py", MODE="local_sgd", EVERY="5", BATCH="16", PAUSE_S="0.001")
    a, b, c = (group.start_ready() for _ in range(3))
    group.change(a, b)
    at_step(group, a, 40)
    group.change(a, b, c)
    at_step(group, a, 100)
    group.signal(a, signal.SIGKILL)
    group.until(lambda: bool(group.said(b, "broken") and group.said(c, "broken")), "complaints")
    group.change(b, c)
    finish(group, b, c)
    assert_same_models(group, b, c)
    told = group.said(b, "joined")
    assert [line["generation"] for line in told] == [1, 2, 3] and told[-1]["step"] >= 95


def test_a_model_that_is_not_finite_is_named(coordinate: Coordinate) -> None:
    group = coordinate("small.py", MODE="local_sgd", EVERY="5")
    a, b = group.start_ready(), group.start_ready(NAN_AT="10")
    group.plan(a, b)
    assert group.wait_exit(a) == group.wait_exit(b) == 1
    assert f"the model of worker [{b}] is not finite" in group.out(a)
