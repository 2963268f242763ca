"""Servers hold the state and workers compute: the same is learnt, whoever of them comes, goes or dies."""

from __future__ import annotations

import signal

import pytest

from tests.train.test_group import Coordinate, alone, assert_each_once, at_step, difference, finish, hurry

PS = {"MODE": "parameter_server"}


@pytest.mark.parametrize(("servers", "workers"), [(1, 2), (2, 2)])
def test_servers_and_workers_learn_what_one_worker_does(
    coordinate: Coordinate, servers: int, workers: int
) -> None:
    one = alone(coordinate, EPOCHS="5")
    group = coordinate("small.py", EPOCHS="5", SERVERS=str(servers), **PS)
    ranks = [group.start_ready() for _ in range(servers + workers)]
    group.change(*ranks)
    finish(group, *ranks)
    assert difference(one, group) <= 1e-12
    assert_each_once(group, 1280, 64, 5)
    for rank in ranks:
        given = (group.folder / f"steps-{rank}").read_text().count('"indices": []')
        assert given == (100 if rank < servers else 0), "servers get no samples"


def test_workers_and_servers_come_go_and_die_and_the_same_is_learnt(coordinate: Coordinate) -> None:
    one = alone(coordinate, EPOCHS="18")
    group = coordinate("small.py", PAUSE_S="0.01", EPOCHS="18", **PS)
    a, b, c = (group.start_ready() for _ in range(3))
    group.change(a)  # both server and worker
    at_step(group, a, 40)
    group.change(a, b, c)
    at_step(group, a, 100)
    d = group.start_ready()
    group.change(a, b, c, d)
    at_step(group, a, 160)
    group.signal(c, signal.SIGKILL)  # a worker
    group.until(lambda: all(group.said(rank, "broken") for rank in (a, b, d)), "complaints")
    group.change(a, b, d)
    at_step(group, a, 220)
    group.signal(a, signal.SIGKILL)  # the server: the worker that stands by takes its place
    group.until(lambda: all(len(group.said(rank, "broken")) > 1 for rank in (b, d)), "complaints")
    group.change(b, d)
    at_step(group, b, 300)
    group.change(b)
    hurry(group, b, d)
    assert difference(one, group) <= 1e-12
    assert_each_once(group, 1280, 64, 18)


def test_a_worker_that_stands_by_is_replaced_by_one_that_has_to_be_told_the_state(
    coordinate: Coordinate,
) -> None:
    one = alone(coordinate, EPOCHS="12")
    group = coordinate("small.py", PAUSE_S="0.01", SERVERS="2", EPOCHS="12", **PS)
    a, b, c, d = (group.start_ready() for _ in range(4))
    group.change(a, b, c, d)
    at_step(group, a, 60)
    group.signal(b, signal.SIGKILL)  # a server and its reserve
    group.signal(c, signal.SIGKILL)
    group.until(lambda: all(group.said(rank, "broken") for rank in (a, d)), "complaints")
    group.change(a, d)
    at_step(group, a, 120)
    group.signal(a, signal.SIGKILL)
    group.until(lambda: len(group.said(d, "broken")) > 1, "complaint")
    group.change(d)
    hurry(group, d)
    assert difference(one, group) <= 1e-12
    assert_each_once(group, 1280, 64, 12)


def test_the_loss_of_all_who_hold_the_state_ends_training_by_name_and_the_checkpoint_has_it(
    coordinate: Coordinate,
) -> None:
    one = alone(coordinate, EPOCHS="8")
    group = coordinate("small.py", PAUSE_S="0.002", CHECKPOINT_S="0.05", EPOCHS="8", **PS)
    a, b, c = (group.start_ready() for _ in range(3))
    group.change(a, b, c)
    at_step(group, c, 60)
    group.signal(a, signal.SIGKILL)
    group.signal(b, signal.SIGKILL)
    group.wait_exit(a), group.wait_exit(b)
    group.plan(c)
    assert group.wait_exit(c) == 1
    assert "ServersLost: all servers" in group.out(c)
    folder = str(group.folder / "checkpoints")
    again = coordinate("small.py", TRAINMASTER_CHECKPOINT_DIR=folder, EPOCHS="8", **PS)
    d, e = again.start_ready(), again.start_ready()
    again.change(d, e)
    assert again.said(d, "joined")[0]["step"] > 0
    finish(again, d, e)
    assert difference(one, again) <= 1e-12


def test_a_slow_worker_gets_less(coordinate: Coordinate) -> None:
    one = alone(coordinate, EPOCHS="4")
    group = coordinate("small.py", EPOCHS="4", **PS)
    server = group.start_ready()
    fast, slow = group.start_ready(PER_SAMPLE_S="0.0002"), group.start_ready(PER_SAMPLE_S="0.0006")
    group.change(server, fast, slow)
    finish(group, server, fast, slow)
    shares = group.said(server, "shares")[-1]["shares"]
    assert set(shares) == {str(fast), str(slow)} and shares[str(fast)] > 1.5 * shares[str(slow)]
    assert difference(one, group) <= 1e-12


def test_not_a_number_at_a_worker_is_named_everywhere(coordinate: Coordinate) -> None:
    group = coordinate("small.py", **PS)
    a, b, c = group.start_ready(), group.start_ready(), group.start_ready(NAN_AT="30")
    group.plan(a, b, c)
    assert [group.wait_exit(rank) for rank in (a, b, c)] == [1, 1, 1]
    assert f"step 30 of epoch 1: gradients of worker [{c}] are not finite" in group.out(a)
