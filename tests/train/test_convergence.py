"""Training ends for all workers at once: converged, capped, or resumed when it was over."""

from __future__ import annotations

import json

from tests.train.test_group import Coordinate, assert_each_once, at_step, finish, trained_on

CURVE = [0.5, 0.7, 0.8, *[0.9] * 40]  # a plateau once 0.3 · 0.7^n · (what is missing) is below 0.001


def test_all_workers_end_after_the_same_epoch_whoever_joined_when(coordinate: Coordinate) -> None:
    group = coordinate("small.py", SIZE="200", BATCH="40", CURVE=json.dumps(CURVE), PAUSE_S="0.005")
    a, b = group.start_ready(), group.start_ready()
    group.change(a)
    at_step(group, a, 40)  # the joiner gets what was seen of the curve with the model
    group.change(a, b)
    finish(group, a, b)
    epochs = len(trained_on(group)) // 5
    assert_each_once(group, 200, 40, epochs)
    assert epochs < 30
    told = [line["group"] for line in group.lines(a) if line.get("group", "shares") != "shares"]
    assert told[-1] == "finished" and not group.said(b, "finished")


def test_a_training_that_was_over_is_not_taken_up_again(coordinate: Coordinate) -> None:
    env = {"SIZE": "200", "BATCH": "40", "CHECKPOINT_S": "0", "CURVE": json.dumps([0.5] * 30)}
    first = coordinate("small.py", **env)
    a = first.start_ready()
    first.change(a)
    finish(first, a)
    assert len(trained_on(first)) == 4 * 5
    again = coordinate("small.py", TRAINMASTER_CHECKPOINT_DIR=str(first.folder / "checkpoints"), **env)
    b = again.start_ready()
    again.change(b)
    finish(again, b)
    assert again.said(b, "joined")[0]["step"] == 20
    assert trained_on(again) == {}


def test_the_number_of_steps_can_be_capped_within_an_epoch(coordinate: Coordinate) -> None:
    group = coordinate("small.py", MAX_STEPS="27")  # of 20 an epoch
    a, b = group.start_ready(), group.start_ready()
    group.change(a, b)
    finish(group, a, b)
    assert sorted(trained_on(group)) == list(range(27))


def test_a_plateau_that_does_not_last_is_taken_back(coordinate: Coordinate) -> None:
    curve = [0.5, 0.4, 0.6, 0.4, 0.4, 0.9, 0.95, 0.96]
    group = coordinate("small.py", SIZE="40", EPOCHS="8", CURVE=json.dumps(curve))
    a = group.start_ready()
    group.change(a)
    finish(group, a)
    told = [line["group"] for line in group.lines(a) if line.get("group", "shares") != "shares"]
    assert told == ["ready", "joined", "plateau", "training", "finished"]
