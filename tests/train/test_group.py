"""The native group with real processes: nothing is lost or done twice, whoever comes and goes."""

from __future__ import annotations

import json
import signal
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.train.coordinator import Coordinator

Coordinate = Callable[..., Coordinator]


def difference(one: Coordinator, other: Coordinator) -> float:
    """The largest between the weights of two trainings."""
    here, there = (torch.load(group.folder / "model.pt") for group in (one, other))
    return max(float((here[name] - there[name]).abs().max()) for name in here)


def trained_on(group: Coordinator) -> dict[int, list[int]]:
    """The samples of every step: those its workers were given in the generation in which it counted."""
    given: dict[tuple[int, int], list[int]] = defaultdict(list)
    kept: dict[int, int] = {}
    for path in group.folder.glob("steps-*"):
        for line in path.read_text().splitlines():
            found: dict[str, Any] = json.loads(line)
            if "kept" in found:
                assert kept.setdefault(found["step"], found["generation"]) == found["generation"]
            else:
                given[found["step"], found["generation"]] += found["indices"]
    return {step: given[step, generation] for step, generation in kept.items()}


def assert_each_once(group: Coordinator, size: int, batch: int, epochs: int) -> None:
    steps = trained_on(group)
    each = -(-size // batch)
    assert sorted(steps) == list(range(each * epochs))
    for epoch in range(epochs):
        used = Counter(index for at in range(each) for index in steps[epoch * each + at])
        assert used == Counter(range(size))


def finish(group: Coordinator, *ranks: int) -> None:
    for rank in ranks:
        assert group.wait_exit(rank) == 0, group.out(rank)


def hurry(group: Coordinator, *ranks: int) -> None:
    """Let the rest be trained without pauses, to its end."""
    (group.folder / "hurry").touch()
    finish(group, *ranks)


def alone(coordinate: Coordinate, **env: str) -> Coordinator:
    group = coordinate("small.py", **env)
    rank = group.start_ready()
    group.change(rank)
    finish(group, rank)
    return group


def at_step(group: Coordinator, rank: int, step: int) -> None:
    path = group.folder / f"steps-{rank}"
    group.until(
        lambda: path.exists() and path.read_text().count("kept") >= 1 and _last_step(path) >= step,
        f"step {step} of worker {rank}",
    )


def _last_step(path: Any) -> int:
    lines = path.read_text().split("\n")[:-1]
    return int(json.loads(lines[-1])["step"])


def test_six_hundred_steps_with_grow_grow_shrink_kill_grow_equal_those_of_one_worker(
    coordinate: Coordinate,
) -> None:
    one = alone(coordinate)
    group = coordinate("small.py", PAUSE_S="0.003")
    a, b, c = group.start_ready(), group.start_ready(), group.start_ready()
    group.change(a)
    at_step(group, a, 60)
    group.change(a, b)
    at_step(group, a, 120)
    group.change(a, b, c)
    at_step(group, a, 200)
    group.change(a, c)
    finish(group, b)
    at_step(group, a, 260)
    group.signal(c, signal.SIGKILL)
    group.wait_exit(c)
    group.change(a)
    d = group.start_ready()
    group.change(a, d)
    finish(group, a, d)
    assert difference(one, group) <= 1e-12
    assert_each_once(group, 1280, 64, 30)


EVENTS = st.lists(
    st.tuples(st.sampled_from(["grow", "shrink", "kill"]), st.integers(0, 3)), min_size=3, max_size=7
)


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(events=EVENTS, mode=st.sampled_from(["sync", "parameter_server"]))
def test_any_sequence_of_changes_trains_the_same(
    coordinate: Coordinate, events: list[tuple[str, int]], mode: str
) -> None:
    env = {"SIZE": "200", "BATCH": "24", "EPOCHS": "30"}  # the last batch of an epoch has 8 samples
    one = alone(coordinate, **env)
    group = coordinate("small.py", PAUSE_S="0.03", MODE=mode, **env)
    members = [group.start_ready()]
    group.change(*members)
    for number, (event, which) in enumerate(events):
        if event == "grow" or len(members) == 1:
            members.append(group.start_ready())
        else:
            gone = members.pop(which % len(members))
            if event == "kill":
                group.signal(gone, signal.SIGKILL)
                group.wait_exit(gone)
        group.change(*members)
        at_step(group, members[0], number * 10)
    hurry(group, *members)
    assert difference(one, group) <= 1e-12
    assert_each_once(group, 200, 24, 30)


def test_fewer_samples_than_workers(coordinate: Coordinate) -> None:
    env = {"SIZE": "2", "BATCH": "64", "EPOCHS": "20"}
    one = alone(coordinate, **env)
    group = coordinate("small.py", **env)
    ranks = [group.start_ready() for _ in range(3)]
    group.change(*ranks)
    finish(group, *ranks)
    assert difference(one, group) <= 1e-12
    assert_each_once(group, 2, 64, 20)


def test_workers_of_different_seeds_begin_with_the_leaders_weights(coordinate: Coordinate) -> None:
    one = alone(coordinate, EPOCHS="2")
    group = coordinate("small.py", EPOCHS="2", OWN_SEED="1")
    ranks = [group.start_ready() for _ in range(2)]
    group.change(*ranks)
    finish(group, *ranks)
    assert difference(one, group) <= 1e-12


def test_reports_are_means_over_the_workers(coordinate: Coordinate) -> None:
    group = coordinate("small.py", EPOCHS="2")
    ranks = [group.start_ready() for _ in range(2)]
    group.change(*ranks)
    finish(group, *ranks)
    reports = [line for line in group.lines(0) if "rank" in line]
    assert [(line["epoch"], line["rank"]) for line in reports] == [(0, 0.5), (1, 0.5)]
    assert not [line for line in group.lines(1) if "rank" in line]


def test_a_killed_leader_is_replaced(coordinate: Coordinate) -> None:
    one = alone(coordinate)
    group = coordinate("small.py", PAUSE_S="0.002")
    a, b, c = (group.start_ready() for _ in range(3))
    group.change(a, b, c)
    at_step(group, a, 50)
    group.signal(a, signal.SIGKILL)
    group.until(lambda: bool(group.said(b, "broken") and group.said(c, "broken")), "complaints")
    group.change(b, c)
    finish(group, b, c)
    assert difference(one, group) <= 1e-12
    assert_each_once(group, 1280, 64, 30)


def test_a_stopped_worker_is_named_and_left_behind(coordinate: Coordinate) -> None:
    one = alone(coordinate)
    group = coordinate("small.py", PAUSE_S="0.002", HANG_S="0.5")
    a, b, c = (group.start_ready() for _ in range(3))
    group.change(a, b, c)
    at_step(group, a, 50)
    group.signal(b, signal.SIGSTOP)
    group.until(lambda: bool(group.said(a, "broken") and group.said(c, "broken")), "complaints")
    assert b in group.said(a, "broken")[0]["suspects"]
    group.plan(a, c)
    group.signal(b, signal.SIGKILL)
    finish(group, a, c)
    assert difference(one, group) <= 1e-12
    assert_each_once(group, 1280, 64, 30)


def test_a_joiner_that_dies_while_it_joins_delays_nobody_for_long(coordinate: Coordinate) -> None:
    group = coordinate("small.py", PAUSE_S="0.002", EPOCHS="20")
    a, b = group.start_ready(), group.start_ready()
    group.change(a)
    group.signal(b, signal.SIGKILL)
    group.wait_exit(b)
    group.plan(a, b)
    group.plan(a)
    finish(group, a)
    assert_each_once(group, 1280, 64, 20)


def test_a_task_told_to_stop_resumes_at_the_very_step(coordinate: Coordinate) -> None:
    one = alone(coordinate)
    first = coordinate("small.py", PAUSE_S="0.002")
    a, b = first.start_ready(), first.start_ready()
    first.change(a, b)
    at_step(first, a, 100)
    first.signal(b, signal.SIGTERM)
    assert first.wait_exit(a) == first.wait_exit(b) == 143
    again = coordinate("small.py", TRAINMASTER_CHECKPOINT_DIR=str(first.folder / "checkpoints"))
    c, d = again.start_ready(), again.start_ready()
    again.change(c, d)
    resumed = again.said(c, "joined")[0]["step"]
    assert resumed == max(trained_on(first)) + 1
    finish(again, c, d)
    assert difference(one, again) <= 1e-12


def test_without_a_last_checkpoint_the_newest_periodic_one_counts(coordinate: Coordinate) -> None:
    one = alone(coordinate)
    first = coordinate("small.py", PAUSE_S="0.002", CHECKPOINT_S="0.05")
    a = first.start_ready()
    first.change(a)
    at_step(first, a, 150)
    first.signal(a, signal.SIGKILL)
    first.wait_exit(a)
    kept = sorted((first.folder / "checkpoints").glob("checkpoint-*"))
    kept[-1].write_bytes(kept[-1].read_bytes()[:-1])  # damaged: the one before it serves
    again = coordinate("small.py", TRAINMASTER_CHECKPOINT_DIR=str(first.folder / "checkpoints"))
    b = again.start_ready()
    again.change(b)
    assert 0 < again.said(b, "joined")[0]["step"] < 200
    finish(again, b)
    assert difference(one, again) <= 1e-12


def test_not_a_number_ends_in_an_error_that_names_step_and_worker(coordinate: Coordinate) -> None:
    group = coordinate("small.py")
    a, b = group.start_ready(), group.start_ready(NAN_AT="30")
    group.plan(a, b)
    assert group.wait_exit(a) == group.wait_exit(b) == 1
    assert f"step 30 of epoch 1: gradients of worker [{b}] are not finite" in group.out(a)


def test_steps_that_are_not_finite_can_be_left_out(coordinate: Coordinate) -> None:
    group = coordinate("small.py", NOT_FINITE="skip", EPOCHS="3")
    a, b = group.start_ready(), group.start_ready(NAN_AT="30")
    group.change(a, b)
    finish(group, a, b)
    assert all(tensor.isfinite().all() for tensor in torch.load(group.folder / "model.pt").values())


def test_another_model_is_refused_by_name_and_the_rest_go_on(coordinate: Coordinate) -> None:
    group = coordinate("small.py", EPOCHS="3")
    a, b = group.start_ready(), group.start_ready(WIDTH="17")
    group.plan(a, b)
    assert group.wait_exit(b) == 1
    assert "the model differs from the leader's at 0.weight" in group.out(b)
    group.plan(a)
    assert group.wait_exit(a) == 0


def test_a_slow_worker_gets_less_and_nothing_else_changes(coordinate: Coordinate) -> None:
    one = alone(coordinate, EPOCHS="4")
    group = coordinate("small.py", EPOCHS="4")
    fast, slow = group.start_ready(PER_SAMPLE_S="0.0002"), group.start_ready(PER_SAMPLE_S="0.0006")
    group.change(fast, slow)
    finish(group, fast, slow)
    shares = group.said(fast, "shares")[-1]["shares"]
    assert shares[str(fast)] > 1.5 * shares[str(slow)]
    assert difference(one, group) <= 1e-12
    assert_each_once(group, 1280, 64, 4)
