"""Members that hang, leave or ignore the rest: training goes on, or ends with an error that names why."""

from __future__ import annotations

import signal

from tests.train.test_group import Coordinate, alone, assert_each_once, at_step, difference, finish


def test_a_stopped_leader_is_named_and_left_behind(coordinate: Coordinate) -> None:
    one = alone(coordinate)
    group = coordinate("small.py", PAUSE_S="0.002", HANG_S="0.5")
    a, b, c = (group.start_ready() for _ in range(3))
    group.change(a, b, c)
    at_step(group, b, 50)
    group.signal(a, signal.SIGSTOP)
    group.until(lambda: bool(group.said(b, "broken") and group.said(c, "broken")), "complaints")
    assert a in group.said(b, "broken")[0]["suspects"]
    group.change(b, c)  # and the stopped one still holds its connections
    group.signal(a, signal.SIGKILL)
    finish(group, b, c)
    assert difference(one, group) <= 1e-12
    assert_each_once(group, 1280, 64, 30)


def test_a_joiner_that_never_gets_ready_keeps_nobody_waiting(coordinate: Coordinate) -> None:
    group = coordinate("small.py", EPOCHS="3")
    a = group.start_ready()
    late = group.start(SCRIPT="deaf.py", NEVER="1")
    group.until(lambda: (group.folder / f"trained-{late}").exists(), "the late one runs")
    group.change(a)
    finish(group, a)
    assert group.exit(late) is None and not list(group.lines(late))
    assert_each_once(group, 1280, 64, 3)


def test_a_joiner_that_stops_once_it_was_ready_is_named(coordinate: Coordinate) -> None:
    group = coordinate("small.py", EPOCHS="20", PAUSE_S="0.002", HANG_S="0.5")
    a, b = group.start_ready(), group.start_ready()
    group.change(a)
    at_step(group, a, 10)
    group.signal(b, signal.SIGSTOP)
    group.plan(a, b)
    group.until(lambda: bool(group.said(a, "broken")), "complaint")
    assert group.said(a, "broken")[0]["suspects"] == [b]
    group.change(a)
    finish(group, a)
    assert_each_once(group, 1280, 64, 20)


def test_a_backward_left_out_by_one_ends_all_with_an_error_that_names_the_step(
    coordinate: Coordinate,
) -> None:
    group = coordinate("small.py")
    a, b = group.start_ready(), group.start_ready(SKIP_AT="30")
    group.plan(a, b)
    assert group.wait_exit(a) == group.wait_exit(b) == 1
    for rank in (a, b):
        assert "UnevenStep: step 30: not all called backward" in group.out(rank)


def test_a_member_that_leaves_on_its_own_is_left_behind(coordinate: Coordinate) -> None:
    one = alone(coordinate)
    group = coordinate("small.py", PAUSE_S="0.002")
    a, b = group.start_ready(), group.start_ready(LEAVE_AT="40")
    group.change(a, b)
    assert group.wait_exit(b) == 0
    group.until(lambda: bool(group.said(a, "broken")), "complaint")
    group.change(a)
    finish(group, a)
    assert difference(one, group) <= 1e-12
    assert_each_once(group, 1280, 64, 30)


def test_a_script_that_ignores_the_protocol_runs_to_its_end_and_says_nothing(coordinate: Coordinate) -> None:
    group = coordinate("deaf.py")
    ranks = [group.start() for _ in range(2)]
    finish(group, *ranks)
    assert all((group.folder / f"trained-{rank}").exists() for rank in ranks)
    assert not [line for rank in ranks for line in group.lines(rank)]
