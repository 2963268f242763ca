"""Every state with every move: legal as the design draws it, or refused."""

import itertools

import pytest

from trainmaster.domain.errors import IllegalTransition
from trainmaster.domain.lifecycle import ENDED, OCCUPYING, WAITING, Move, TaskState, advance, diagram, moves

LEGAL = {
    ("SUBMITTED", "admit"): "QUEUED",
    ("SUBMITTED", "hold"): "BLOCKED",
    ("SUBMITTED", "cancel"): "CANCELLED",
    ("BLOCKED", "release"): "QUEUED",
    ("BLOCKED", "cancel"): "CANCELLED",
    ("QUEUED", "accept"): "ACCEPTED",
    ("QUEUED", "cancel"): "CANCELLED",
    ("QUEUED", "fail"): "FAILED",
    ("INTERRUPTED", "accept"): "ACCEPTED",
    ("INTERRUPTED", "cancel"): "CANCELLED",
    ("INTERRUPTED", "fail"): "FAILED",
    ("ACCEPTED", "prepare"): "PREPARING",
    ("ACCEPTED", "start"): "RUNNING",
    ("PREPARING", "start"): "RUNNING",
    ("RUNNING", "resize"): "RESIZING",
    ("RESIZING", "start"): "RUNNING",
    ("LOST", "requeue"): "QUEUED",
    ("LOST", "fail"): "FAILED",
    ("LOST", "cancel"): "CANCELLED",
} | {
    (state, move): target
    for state in ("ACCEPTED", "PREPARING", "RUNNING", "RESIZING")
    for move, target in {
        "succeed": "SUCCEEDED",
        "fail": "FAILED",
        "cancel": "CANCELLED",
        "interrupt": "INTERRUPTED",
        "requeue": "QUEUED",
        "lose": "LOST",
    }.items()
}


@pytest.mark.parametrize(("state", "move"), list(itertools.product(TaskState, Move)))
def test_every_state_and_move(state: TaskState, move: Move) -> None:
    target = LEGAL.get((str(state), str(move)))
    if target is None:
        with pytest.raises(IllegalTransition) as refused:
            advance(state, move)
        assert refused.value.fields == {"state": str(state), "move": str(move)}
    else:
        assert advance(state, move) == target


def test_ended_states_are_final_and_the_classes_are_disjoint() -> None:
    assert all(not moves(state) for state in ENDED)
    assert not (ENDED & WAITING or ENDED & OCCUPYING or WAITING & OCCUPYING)
    assert ENDED | WAITING | OCCUPYING | {TaskState.LOST} == set(TaskState)


def test_the_diagram_shows_every_transition() -> None:
    text = diagram()
    for (state, move), target in LEGAL.items():
        line = next(line for line in text.splitlines() if line.startswith(f"    {state} --> {target}:"))
        assert move in line
