"""Who drained a node, who may wake it, and what a restart remembers of it."""

from __future__ import annotations

import json

import pytest
from tests.scenario import World, spec

from trainmaster.domain.cluster import NodeState, Quota
from trainmaster.domain.errors import UnknownNode
from trainmaster.domain.events import (
    ClusterSized,
    DrainRequested,
    NodeFellSilent,
    NodeReturned,
    NodeVanished,
    QuotaChanged,
    SizingChanged,
)
from trainmaster.domain.history import RecordKind
from trainmaster.domain.ids import NodeId, UserName
from trainmaster.domain.sizing import SizingKnobs
from trainmaster.domain.units import Resources
from trainmaster.scheduler.drains import DRAINED, KNOBS, needed, restore_drained, standing
from trainmaster.scheduler.state import State

ANN = UserName("ann")
APPLIED = SizingKnobs(apply=True)


def on(world: World) -> list[str]:
    return sorted(standing(world.state).on)


def asleep(world: World) -> list[str]:
    return sorted(standing(world.state).asleep)


def four() -> World:
    return World({f"n{number}": 2 for number in range(1, 5)})


def test_the_emptiest_nodes_are_drained_the_last_of_them_first() -> None:
    world = four()
    (task,) = world.submit(spec(cpus=2))
    busy = world.nodes_of(task)[0]
    world.do(ClusterSized(2, 0, 2, "little work"))
    assert asleep(world) == sorted({"n2", "n3", "n4"} - {busy})[-2:]
    world.do(ClusterSized(1, 0, 1, "less work"))
    assert on(world) == [busy]


def test_a_node_with_work_is_drained_last_and_woken_first() -> None:
    world = four()
    (task,) = world.submit(spec(cpus=2))
    busy = world.nodes_of(task)[0]
    world.do(ClusterSized(0, 0, 4, "nothing to come"))
    assert on(world) == []
    assert sorted(standing(world.state).empty) == sorted({"n1", "n2", "n3", "n4"} - {busy})
    assert world.nodes_of(task) == [busy], "what runs goes on"
    world.do(ClusterSized(1, 1, 0, "a little work"))
    assert on(world) == [busy]


def test_a_decision_goes_no_further_than_what_it_wants() -> None:
    world = four()
    world.do(NodeVanished(NodeId("n4")))
    world.do(ClusterSized(3, 0, 1, "decided while there were four"))
    assert on(world) == ["n1", "n2", "n3"]
    world.do(ClusterSized(1, 0, 2, "less"))
    world.do(ClusterSized(1, 2, 0, "decided before that"))
    assert on(world) == ["n1"]


def test_what_an_operator_drained_sizing_leaves_alone() -> None:
    world = four()
    world.do(DrainRequested(NodeId("n1"), True, ANN))
    world.do(ClusterSized(2, 0, 1, "less"))
    assert asleep(world) == ["n4"]
    world.do(ClusterSized(4, 4, 0, "all"))
    assert on(world) == ["n2", "n3", "n4"]
    world.do(SizingChanged(SizingKnobs(), ANN))
    assert world.state.drained == {"n1": ANN}
    world.do(DrainRequested(NodeId("n1"), False, ANN))
    assert on(world) == ["n1", "n2", "n3", "n4"]


def test_an_operator_may_keep_a_sleeping_node_drained() -> None:
    world = four()
    world.do(ClusterSized(3, 0, 1, "less"))
    world.do(DrainRequested(NodeId("n4"), True, ANN))
    assert asleep(world) == []
    assert standing(world.state).total == 3
    world.do(ClusterSized(4, 4, 0, "all"))
    assert on(world) == ["n1", "n2", "n3"]


def test_no_drain_of_a_node_that_is_not_there() -> None:
    outcome = four().do(DrainRequested(NodeId("n9"), True, ANN))
    assert isinstance(outcome.refused[0], UnknownNode)


def test_advice_given_before_is_no_second_line_of_history() -> None:
    world = four()
    world.do(ClusterSized(2, 0, 0, "advice", {"forecast": 7.0}, {"kept": "1"}))
    outcome = world.do(ClusterSized(2, 0, 0, "advice", {}, {"kept": "2"}, repeated=True))
    told = [record for record in world.history if record.kind is RecordKind.CLUSTER_SIZED]
    assert [(record.reason, record.detail) for record in told] == [("advice", {"wanted": 2, "forecast": 7.0})]
    assert outcome.settings == {"kept": "2"}


def test_without_apply_the_sleeping_wake_and_the_knobs_are_kept() -> None:
    world = four()
    world.do(ClusterSized(1, 0, 3, "less"))
    outcome = world.do(SizingChanged(SizingKnobs(policy="reactive"), ANN))
    assert on(world) == ["n1", "n2", "n3", "n4"]
    assert json.loads(outcome.settings[KNOBS])["policy"] == "reactive"
    assert json.loads(outcome.settings[DRAINED]) == {}


def test_a_drain_outlives_absence_and_restart() -> None:
    world = four()
    world.do(DrainRequested(NodeId("n1"), True, ANN))
    outcome = world.do(ClusterSized(2, 0, 1, "less"))
    for event in (NodeFellSilent(NodeId("n4")), NodeReturned(NodeId("n4")), NodeVanished(NodeId("n4"))):
        world.do(event)
    world.join("n4", 2)
    assert asleep(world) == ["n4"]

    again = World()
    restore_drained(again.state, outcome.settings)
    again.join("n1", 2)
    again.join("n4", 2)
    assert {node.id: node.state for node in again.state.nodes.values()} == {
        "n1": NodeState.DRAINING,
        "n4": NodeState.DRAINING,
    }
    assert again.state.drained == {"n1": ANN, "n4": None}


def test_nothing_was_drained_before_the_first_start() -> None:
    state = State()
    restore_drained(state, {})
    assert state.drained == {}


# --- between decisions -------------------------------------------------------------------------------------


def test_a_task_only_a_sleeping_node_can_hold_wakes_it_at_once() -> None:
    world = World({"small": 1, "large": 4})
    world.do(ClusterSized(1, 0, 1, "less"))
    assert asleep(world) == ["large"]
    (task,) = world.submit(spec(cpus=3))
    event = needed(world.state, SizingKnobs(apply=True, max_nodes=1), world.now, 60.0)
    assert event is not None
    assert event.nodes == ("large",)
    assert task in event.reason
    world.do(event)
    assert world.nodes_of(task) == ["large"]


def test_a_task_without_room_wakes_a_node_once_it_has_waited() -> None:
    world = four()
    world.do(ClusterSized(1, 0, 3, "less"))
    first, second = world.submit(spec(cpus=2), spec(cpus=2))
    assert needed(world.state, APPLIED, world.now + 9, 10.0) is None
    assert needed(world.state, SizingKnobs(apply=True, max_nodes=1), world.now + 11, 10.0) is None
    event = needed(world.state, APPLIED, world.now + 11, 10.0)
    assert event is not None
    assert event.nodes == ("n2",)
    world.do(event)
    assert sorted(world.nodes_of(first) + world.nodes_of(second)) == ["n1", "n2"]


def test_no_more_are_woken_than_the_waiting_fill() -> None:
    world = four()
    world.do(ClusterSized(1, 0, 3, "less"))
    world.submit(spec(cpus=2), *[spec(cpus=1) for _ in range(3)])
    event = needed(world.state, APPLIED, world.now + 60, 10.0)
    assert event is not None
    assert event.nodes == ("n2", "n3")


def test_who_has_used_up_their_quota_wakes_nobody() -> None:
    world = four()
    world.do(QuotaChanged(Quota(ANN, 1), ANN))
    world.do(ClusterSized(1, 0, 3, "less"))
    world.submit(spec(cpus=2, user=ANN), spec(cpus=2, user=ANN))
    assert needed(world.state, APPLIED, world.now + 60, 10.0) is None


def test_nobody_is_needed_when_nobody_waits_or_sleeps() -> None:
    world = four()
    assert needed(world.state, APPLIED, world.now, 0.0) is None
    world.do(ClusterSized(1, 0, 3, "less"))
    assert needed(world.state, APPLIED, world.now, 0.0) is None


@pytest.mark.parametrize("nodes", [{}, {"n1": Resources(cpu_m=1000)}, {"n1": 1, "n2": 3}])
def test_the_mean_node(nodes: dict[str, float | Resources]) -> None:
    found = standing(World(nodes).state)
    assert found.total == len(nodes)
    assert found.mean.cpu_m == {0: 0, 1: 1000, 2: 2000}[len(nodes)]
