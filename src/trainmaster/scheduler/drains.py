"""Nodes that take nothing new: drained by an operator, or put to sleep and woken by sizing.

`State.drained` says who wanted it, and outlives the node's absence and the service's: what an operator
drained is never woken by sizing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from trainmaster.domain.cluster import Node, NodeState
from trainmaster.domain.errors import UnknownNode
from trainmaster.domain.events import ClusterSized, DrainRequested, NodesNeeded, SizingChanged
from trainmaster.domain.history import RecordKind
from trainmaster.domain.ids import NodeId, UserName
from trainmaster.domain.sizing import SizingKnobs, Standing
from trainmaster.domain.units import NOTHING, Resources
from trainmaster.policies.admission import may_start, misfit
from trainmaster.scheduler.room import Room
from trainmaster.scheduler.state import Change, State

DRAINED, KNOBS = "drained", "sizing"  # names of settings
_LOOKED_AT = 64  # waiting tasks


def restore_drained(state: State, settings: dict[str, str]) -> None:
    """What was drained before a restart; the nodes themselves join later."""
    told = json.loads(settings.get(DRAINED, "{}"))
    state.drained = {NodeId(node): by if by is None else UserName(by) for node, by in told.items()}


def on_drain(change: Change, event: DrainRequested) -> None:
    """An operator's word: it stands above that of sizing."""
    node = change.state.nodes.get(event.node)
    if node is None:
        raise UnknownNode(f"there is no node {event.node}", node=event.node)
    asleep = node.id in change.state.drained and change.state.drained[node.id] is None
    if event.drain and (node.state is NodeState.UP or asleep):
        _drain(change, node, event.by, f"by {event.by}")
    elif not event.drain and node.state is NodeState.DRAINING:
        _wake(change, node, f"by {event.by}")


def on_sizing(change: Change, event: SizingChanged) -> None:
    change.out.settings[KNOBS] = json.dumps(asdict(event.knobs))
    deed = "applied" if event.knobs.apply else "only advises"
    change.record(
        RecordKind.SIZING_CHANGED,
        reason=f"{event.knobs.policy}, {deed}, by {event.by}",
        **asdict(event.knobs),
    )
    if not event.knobs.apply:
        for node in _asleep(change.state):
            _wake(change, node, "sizing is no longer applied")


def on_sized(change: Change, event: ClusterSized) -> None:
    """Wake or drain as many nodes as decided, and no further than to `wanted` of those that are there now.

    Woken first are those that still run something, then in node order. Drained first are those with the
    fewest runs, ties: the last in node order.
    """
    state = change.state
    change.out.settings.update(event.keep)
    if not event.repeated:
        change.record(RecordKind.CLUSTER_SIZED, reason=event.reason, wanted=event.wanted, **event.detail)
    awake = [node for node in reversed(state.nodes.values()) if node.state is NodeState.UP]
    missing = event.wanted - len(awake)  # nodes may have come and gone since the decision
    asleep = sorted(_asleep(state), key=lambda node: not state.on_node.get(node.id))
    for node in asleep[: max(min(event.wake, missing), 0)]:
        _wake(change, node, f"sizing wants {event.wanted} on")
    awake.sort(key=lambda node: len(state.on_node.get(node.id, ())))
    for node in awake[: max(min(event.drain, -missing), 0)]:
        _drain(change, node, None, f"sizing wants {event.wanted} on")


def on_needed(change: Change, event: NodesNeeded) -> None:
    wanted = set(event.nodes)
    for node in _asleep(change.state):
        if node.id in wanted:
            _wake(change, node, event.reason)


def standing(state: State) -> Standing:
    """The cluster as sizing sees it now."""
    on = [node for node in state.nodes.values() if node.state is NodeState.UP]
    asleep = _asleep(state)
    capacity = sum((node.capacity for node in on + asleep), NOTHING)
    count = max(len(on) + len(asleep), 1)
    return Standing(
        on=tuple(node.id for node in on),
        asleep=tuple(node.id for node in asleep),
        empty=tuple(node.id for node in asleep if not state.on_node.get(node.id)),
        waiting=len(state.ready),
        running=len(state.runs),
        mean=Resources(*(getattr(capacity, name) // count for name in Resources.__slots__)),
    )


def needed(state: State, knobs: SizingKnobs, now: float, patience_s: float) -> NodesNeeded | None:
    """The sleeping nodes to wake for tasks that wait, before sizing decides again; None if there are none.

    At once for a task that the nodes awake could not hold even if they were empty, whatever the bounds. For
    one that lacks room now, once it has waited `patience_s`, up to `max_nodes`. Of the nodes that could hold
    it the first in node order. A task whose owner's quota is used up wakes nobody.
    """
    asleep = _asleep(state)
    if not asleep or not len(state.ready):
        return None
    room, running = Room(state), state.running_workers()
    free = {node.id: node.capacity - state.used(node.id) for node in asleep}
    woken: dict[NodeId, None] = {}
    first = ""
    most = len(asleep) if knobs.max_nodes is None else knobs.max_nodes - len(room.views)
    for task_id in state.ready.first(_LOOKED_AT):
        task = state.tasks[task_id]
        spec, need = task.spec, task.spec.resources
        if not may_start(state.quotas.get(spec.user), running[spec.user], spec.min_workers):
            continue
        ever = sum(need.times_fitting(room.views[at].capacity) for at in room.able(task))
        stranded = ever < spec.min_workers
        since = task.queued_at if task.queued_at is not None else task.submitted_at
        if not stranded and now - since < patience_s:
            continue
        missing = spec.min_workers - (ever if stranded else room.places(task))
        able = [node for node in asleep if misfit(spec, node) is None]
        able.sort(key=lambda node: node.id not in woken)
        taken: dict[NodeId, int] = {}
        for node in able:
            if missing <= 0:
                break
            # What a stranded task waits for may first have to end there: then nothing new gets in before it.
            places = min(need.times_fitting(node.capacity if stranded else free[node.id]), missing)
            if places and (stranded or node.id in woken or len(woken) + len(taken) < most):
                taken[node.id] = places
                missing -= places
        if missing > 0 or not taken:
            continue
        for node_id, places in taken.items():
            free[node_id] -= need * places
            woken[node_id] = None
        first = (
            first or f"{task_id} waits and {'no node awake could hold it' if stranded else 'finds no room'}"
        )
    return NodesNeeded(tuple(woken), first) if woken else None


def _asleep(state: State) -> list[Node]:
    """Nodes that sizing drained and that are there to be woken, in node order."""
    return [
        node
        for node in state.nodes.values()
        if node.state is NodeState.DRAINING and state.drained.get(node.id, "") is None
    ]


def _drain(change: Change, node: Node, by: UserName | None, reason: str) -> None:
    change.state.drained[node.id] = by
    change.node(replace(node, state=NodeState.DRAINING))
    change.record(RecordKind.NODE_DRAINING, node=node.id, reason=reason)
    _keep(change)


def _wake(change: Change, node: Node, reason: str) -> None:
    change.state.drained.pop(node.id, None)
    change.node(replace(node, state=NodeState.UP))
    change.record(RecordKind.NODE_WOKEN, node=node.id, reason=reason)
    _keep(change)


def _keep(change: Change) -> None:
    change.out.settings[DRAINED] = json.dumps(change.state.drained)
