"""Groups that exchange by NCCL, with a stand-in for the hardware (`scripts/on_gpus.py`)."""

from __future__ import annotations

import signal

import pytest

from tests.train.coordinator import Coordinator
from tests.train.test_group import Coordinate, alone, assert_each_once, at_step, difference, finish


def exchanges(group: Coordinator, rank: int) -> int:
    path = group.folder / f"exchanges-{rank}"
    return int(path.read_text()) if path.exists() else 0


def test_workers_come_go_and_die_and_nothing_else_is_learnt(coordinate: Coordinate) -> None:
    one = alone(coordinate)
    group = coordinate("on_gpus.py", PAUSE_S="0.002")
    a, b, c, d = (group.start_ready(GPU=str(gpu)) for gpu in range(4))
    group.change(a, b)
    at_step(group, a, 100)
    group.change(a, b, c)
    at_step(group, a, 200)
    group.change(b, c)
    assert group.wait_exit(a) == 0
    at_step(group, b, 300)
    group.signal(c, signal.SIGKILL)
    group.until(lambda: bool(group.said(b, "broken")), "complaint", may_end=True)
    group.change(b, d)
    finish(group, b, d)
    assert difference(one, group) <= 1e-12
    assert_each_once(group, 1280, 64, 30)
    assert exchanges(group, b) > 500  # of 600 steps


def test_a_member_that_dies_within_an_exchange_is_left_behind_though_nccl_does_not_notice(
    coordinate: Coordinate,
) -> None:
    one = alone(coordinate)
    group = coordinate("on_gpus.py", HANG_S="0.5")
    a, b = (group.start_ready(GPU=str(gpu), STUCK_IN_EXCHANGE="100") for gpu in range(2))
    c = group.start_ready(GPU="2", DIE_IN_EXCHANGE="100")
    group.change(a, b, c)
    assert group.wait_exit(c) == -signal.SIGKILL
    group.until(lambda: bool(group.said(a, "broken") and group.said(b, "broken")), "complaints", may_end=True)
    group.change(a, b)
    finish(group, a, b)
    assert difference(one, group) <= 1e-12
    assert_each_once(group, 1280, 64, 30)
    assert exchanges(group, a) > 500


def test_a_member_that_dies_while_nccl_connects_holds_nobody(coordinate: Coordinate) -> None:
    group = coordinate("on_gpus.py", EPOCHS="5")
    a, b = (group.start_ready(GPU=str(gpu)) for gpu in range(2))
    c = group.start_ready(GPU="2", CONNECTS_NEVER="1")
    group.plan(a, b, c)
    group.until(lambda: (group.folder / "connecting").exists(), "NCCL connects")
    group.signal(c, signal.SIGKILL)
    assert group.wait_exit(c) == -signal.SIGKILL
    group.change(a, b)
    finish(group, a, b)
    assert_each_once(group, 1280, 64, 5)


def test_two_on_one_gpu_exchange_through_host_memory_and_say_so(coordinate: Coordinate) -> None:
    group = coordinate("on_gpus.py", GPU="0", EPOCHS="5")
    a, b = group.start_ready(), group.start_ready()
    group.change(a, b)
    finish(group, a, b)
    assert "through host memory, not by NCCL: workers share a GPU" in group.out(a)
    assert exchanges(group, a) == exchanges(group, b) == 0
    assert_each_once(group, 1280, 64, 5)


def test_where_nccl_fails_for_one_all_exchange_through_host_memory_and_say_why(
    coordinate: Coordinate,
) -> None:
    group = coordinate("on_gpus.py", EPOCHS="5", PAUSE_S="0.002")
    a, b, c = group.start_ready(GPU="0"), group.start_ready(GPU="1", NCCL_FAILS="1"), group.start(GPU="2")
    group.change(a, b)
    at_step(group, a, 20)
    group.until(lambda: bool(group.said(c, "ready")), "the third ready")
    group.change(a, b, c)
    finish(group, a, b, c)
    for rank in (a, b):
        assert group.out(rank).count("not by NCCL: unhandled system error") == 1, "and it is not tried again"
    assert exchanges(group, a) == 0
    assert_each_once(group, 1280, 64, 5)


@pytest.mark.parametrize("mode", ["local_sgd", "parameter_server"])
def test_the_other_modes_exchange_by_it_too(coordinate: Coordinate, mode: str) -> None:
    groups = [
        coordinate(script, MODE=mode, EPOCHS="5", SHARES="equal") for script in ("small.py", "on_gpus.py")
    ]
    for group in groups:
        members = [group.start_ready(GPU=str(gpu)) for gpu in range(3)]
        group.change(*members)
        finish(group, *members)
    by_gloo, by_nccl = groups
    assert exchanges(by_nccl, members[-1]) and not exchanges(by_gloo, members[-1])
    assert difference(by_gloo, by_nccl) <= 1e-12
