"""The validator finds every broken rule, and names it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trainmaster.dagsched import TaskGraph, generate, schedule
from trainmaster.dagsched.errors import (
    MissingTaskError,
    OverlapError,
    PlacementError,
    PortError,
    PrecedenceError,
)
from trainmaster.dagsched.plan import PLACEMENT, TRANSFER

GRAPH = TaskGraph([2, 3, 1], [(0, 1, 4), (0, 2, 1)])


def plan_of(rows, ports="multi", transfers=(), graph=GRAPH, processors=2):
    base = schedule(graph, processors, "serial")
    return replace(
        base,
        placements=np.array(rows, PLACEMENT),
        ports=ports,
        transfers=np.array(list(transfers), TRANSFER),
    )


def test_a_right_plan_passes():
    plan_of([(0, 0, 0, 2), (1, 0, 2, 5), (2, 1, 3, 4)]).validate()


def test_copies_serve_their_own_processor():
    plan_of([(0, 0, 0, 2), (1, 0, 2, 5), (0, 1, 0, 2), (2, 1, 2, 3)]).validate()


@pytest.mark.parametrize(
    ("rows", "error", "fields"),
    [
        ([(0, 0, 0, 2), (1, 0, 2, 5)], MissingTaskError, {"task": 2}),
        ([(0, 0, 0, 2), (1, 0, 2, 5), (3, 1, 3, 4)], PlacementError, {"row": 2}),
        ([(0, 0, 0, 2), (1, 0, 2, 5), (2, 2, 3, 4)], PlacementError, {"processor": 2}),
        ([(0, 0, 0, 2), (1, 0, 2, 6), (2, 1, 3, 4)], PlacementError, {"task": 1}),
        ([(0, 0, -1, 1), (1, 0, 2, 5), (2, 1, 3, 4)], PlacementError, {"task": 0}),
        ([(0, 0, 0, 2), (1, 0, 2, float("nan")), (2, 1, 3, 4)], PlacementError, {"task": 1}),
        ([(0, 0, 0, 2), (0, 0, 5, 7), (1, 0, 2, 5), (2, 1, 3, 4)], PlacementError, {"row": 1}),
        ([(0, 0, 0, 2), (1, 0, 2, 5), (2, 0, 4, 5)], OverlapError, {"first": 1, "second": 2, "until": 5}),
        (
            [(0, 0, 0, 2), (1, 0, 2, 5), (2, 1, 2.5, 3.5)],
            PrecedenceError,
            {"task": 2, "parent": 0, "arrival": 3},
        ),
        ([(0, 0, 0, 2), (1, 1, 5, 8), (2, 0, 2, 3)], PrecedenceError, {"task": 1, "arrival": 6}),
    ],
)
def test_each_broken_rule_is_named(rows, error, fields):
    with pytest.raises(error) as caught:
        plan_of(rows).validate()
    for name, value in fields.items():
        assert getattr(caught.value, name) == value
    assert caught.value.rule


TWO_SENDS = TaskGraph([2, 1, 1], [(0, 1, 3), (0, 2, 3)])
APART = [(0, 0, 0, 2), (1, 1, 5, 6), (2, 2, 8, 9)]


def test_single_port_transfers_take_turns():
    moves = [(0, 1, 0, 1, 2, 5), (0, 2, 0, 2, 5, 8)]
    plan_of(APART, "single", moves, TWO_SENDS, 3).validate()
    at_once = [(0, 1, 0, 1, 2, 5), (0, 2, 0, 2, 2, 5)]
    with pytest.raises(PortError) as caught:
        plan_of(APART, "single", at_once, TWO_SENDS, 3).validate()
    assert (caught.value.direction, caught.value.processor) == ("send", 0)


def test_single_port_receivers_take_turns():
    graph = TaskGraph([1, 1, 1], [(0, 2, 3), (1, 2, 3)])
    rows = [(0, 0, 0, 1), (1, 1, 0, 1), (2, 2, 4, 5)]
    with pytest.raises(PortError) as caught:
        plan_of(rows, "single", [(0, 2, 0, 2, 1, 4), (1, 2, 1, 2, 1, 4)], graph, 3).validate()
    assert (caught.value.direction, caught.value.processor) == ("receive", 2)


@pytest.mark.parametrize(
    ("moves", "error"),
    [
        ([(0, 1, 0, 1, 2, 5)], PrecedenceError),
        ([(0, 1, 0, 1, 1, 4), (0, 2, 0, 2, 5, 8)], PortError),
        ([(0, 1, 0, 1, 2, 4), (0, 2, 0, 2, 5, 8)], PortError),
        ([(0, 1, 2, 1, 2, 5), (0, 2, 0, 2, 5, 8)], PortError),
        ([(1, 2, 0, 1, 2, 5), (0, 2, 0, 2, 5, 8)], PortError),
        ([(0, 1, 0, 7, 2, 5), (0, 2, 0, 2, 5, 8)], PortError),
    ],
)
def test_single_port_transfers_must_be_real(moves, error):
    with pytest.raises(error):
        plan_of(APART, "single", moves, TWO_SENDS, 3).validate()


@pytest.mark.parametrize("ports", ["multi", "single"])
def test_any_copy_moved_forward_is_found(ports):
    graph = generate(60, height=8, ccr=2, seed=3)
    plan = schedule(graph, 4, "heft", ports=ports)
    plan.validate()
    found = 0
    for row in range(0, plan.placements.size, 7):
        rows = plan.placements.copy()
        if rows["start"][row] < 1:
            continue
        rows["start"][row] -= 1e-3
        rows["finish"][row] -= 1e-3
        try:
            replace(plan, placements=rows).validate()
        except (PrecedenceError, OverlapError):
            found += 1
    # Insertion leaves slack before some copies of a later gap, but a list scheduler starts most at once.
    assert found >= 6
