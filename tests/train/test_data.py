"""Where samples come from, and what is added to them, changes nothing for how many workers there are."""

from __future__ import annotations

import json
import signal
from collections import Counter

from tests.train.test_group import (
    Coordinate,
    alone,
    assert_each_once,
    at_step,
    difference,
    finish,
    hurry,
    trained_on,
)


def test_workers_without_data_get_theirs_from_members_that_have_it(coordinate: Coordinate) -> None:
    one = alone(coordinate, EPOCHS="15")
    group = coordinate("small.py", PAUSE_S="0.01", DATA="transfer", EPOCHS="15")
    a, b, c = group.start_ready(), group.start_ready(NO_DATA="1"), group.start_ready()
    group.change(a, b)
    at_step(group, a, 50)
    group.change(a, b, c)
    at_step(group, a, 120)
    group.signal(a, signal.SIGKILL)  # it gave; another has the data too
    group.until(lambda: bool(group.said(b, "broken") and group.said(c, "broken")), "complaints")
    group.change(b, c)
    hurry(group, b, c)
    assert difference(one, group) <= 1e-12
    assert_each_once(group, 1280, 64, 15)


def test_averaged_models_with_transferred_data_are_those_with_shared_data(coordinate: Coordinate) -> None:
    env = {"MODE": "local_sgd", "EVERY": "3", "SHARES": "equal", "EPOCHS": "3", "BATCH": "16"}
    groups = [coordinate("small.py", **env), coordinate("small.py", DATA="transfer", **env)]
    for group, more in zip(groups, ({}, {"NO_DATA": "1"}), strict=True):
        a, b = group.start_ready(), group.start_ready(**more)
        group.change(a, b)
        finish(group, a, b)
    assert difference(*groups) == 0


def test_without_the_only_member_that_had_the_data_training_ends_by_name(coordinate: Coordinate) -> None:
    group = coordinate("small.py", PAUSE_S="0.002", DATA="transfer")
    a, b = group.start_ready(), group.start_ready(NO_DATA="1")
    group.change(a, b)
    at_step(group, b, 20)
    group.signal(a, signal.SIGKILL)
    group.wait_exit(a)
    group.plan(b)
    assert group.wait_exit(b) == 1
    assert "DataLost: no member has the data set" in group.out(b)


def test_a_worker_without_data_needs_them_to_be_transferred(coordinate: Coordinate) -> None:
    group = coordinate("small.py")
    a = group.start_ready(NO_DATA="1")
    group.plan(a)
    assert group.wait_exit(a) == 1 and "needs train.task(data='transfer')" in group.out(a)


def test_a_load_factor_adds_the_same_samples_whoever_trains_on_them(coordinate: Coordinate) -> None:
    env = {"LOAD": "1.5", "EPOCHS": "4"}
    one = alone(coordinate, **env)
    group = coordinate("small.py", DATA="transfer", **env)
    ranks = group.start_ready(), group.start_ready(NO_DATA="1"), group.start_ready()
    group.change(*ranks)
    finish(group, *ranks)
    assert difference(one, group) <= 1e-12
    steps = trained_on(group)
    for epoch in range(4):
        used = Counter(index for at in range(30) for index in steps[epoch * 30 + at])
        assert used == Counter(range(1920)), "each sample once, and half as many added ones"
    plain = alone(coordinate, EPOCHS="4")
    assert difference(one, plain) > 0
    assert json.loads((plain.folder / "steps-0").read_text().splitlines()[-1])["step"] == 79
