"""Will what the triggers start be in time? A warning when it cannot be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from trainmaster.domain.cluster import Node, NodeState
from trainmaster.domain.firing import Trigger
from trainmaster.domain.ids import TriggerId
from trainmaster.domain.target import WorkflowTarget
from trainmaster.domain.task import TaskKind, TaskSpec
from trainmaster.policies.firing.due import is_fixed_delay
from trainmaster.ports import Store
from trainmaster.realtime.analysis import Analysis, analyse
from trainmaster.realtime.model import Order, Recurring, recurring
from trainmaster.scheduler.state import State

TICK = "0.001"
_LEARNT_FROM = 20  # the latest tasks of each trigger
_MOST = 300  # triggers in one analysis: its cost grows faster than their number


async def warnings(state: State, store: Store, trigger: Trigger, lane_depth: int) -> list[str]:
    """What is certain to go wrong once `trigger` fires as well, in sentences; nothing if nothing is.

    Costs are the longest of the latest durations, else the estimate of the task; triggers with neither are
    left out. Functions are analysed on the lanes, other tasks on the places there are for them, provided all
    need the same; else by the cores they use on average. One queue ordered as the active profile has it, and
    nothing is preempted; other orderings than rm, dm and edf are taken as edf, the best that can be hoped
    for. A "no" means that some legal pattern of releases misses a deadline.
    """
    if isinstance(trigger.target, WorkflowTarget):
        return []  # a graph is none of the literature's recurring tasks
    function = trigger.target.kind is TaskKind.FUNCTION
    others = [
        other
        for other in state.triggers.all.values()
        if other.id != trigger.id
        and not other.paused
        and isinstance(other.target, TaskSpec)
        and (other.target.kind is TaskKind.FUNCTION) == function
    ]
    group = [*others, trigger]
    costs = await _costs(store, group)
    known = [one for one in group if one.id in costs and one.period_ms and not is_fixed_delay(one.timing)]
    if trigger not in known or len(known) > _MOST:
        return []
    nodes = [node for node in state.nodes.values() if node.state is NodeState.UP]
    workers = _lanes(nodes, lane_depth) if function else _places(nodes, known)
    if workers is None:
        return _by_cores(nodes, known, costs)
    if not workers:
        return []
    order = {"rm": Order.RATE, "dm": Order.DEADLINE}.get(state.policies.ordering.name, Order.EARLIEST)
    with_it = await asyncio.to_thread(_analyse, known, costs, workers, order)
    if with_it.feasible is not False:
        return []
    without = [one for one in known if one.id != trigger.id]
    before = await asyncio.to_thread(_analyse, without, costs, workers, order) if without else None
    why = next(verdict.reason for verdict in with_it.verdicts if verdict.feasible is False)
    since = ", as they could not before" if before is not None and before.feasible is False else ""
    where = f"{workers} lane" if function else f"{workers} place"
    return [
        f"not all deadlines can be met on {where}{'s' if workers > 1 else ''}{since}: {why} "
        f"(utilisation {with_it.utilisation:.2f})"
    ]


async def _costs(store: Store, triggers: Sequence[Trigger]) -> dict[TriggerId, float]:
    """Seconds that a task of each takes, of those of which it is known."""
    found = {}
    for trigger in triggers:
        learnt = await store.trigger_durations(trigger.id, _LEARNT_FROM)
        cost = max(learnt, default=_task(trigger).estimate_s)
        if cost is not None:
            found[trigger.id] = max(cost, 0.001)
    return found


def _task(trigger: Trigger) -> TaskSpec:
    assert isinstance(trigger.target, TaskSpec)
    return trigger.target


def _analyse(
    triggers: Sequence[Trigger], costs: dict[TriggerId, float], workers: int, order: Order
) -> Analysis:
    return analyse([_recurring(one, costs[one.id]) for one in triggers], workers, order)


def _recurring(trigger: Trigger, cost_s: float) -> Recurring:
    assert trigger.period_ms is not None
    return recurring(trigger.name, cost_s, trigger.period_ms / 1000, trigger.deadline_s, TICK)


def _lanes(nodes: Iterable[Node], depth: int) -> int:
    return sum(node.capacity.lanes for node in nodes) // depth


def _places(nodes: Sequence[Node], triggers: Sequence[Trigger]) -> int | None:
    """How many workers run at once, if all need the same and each task has one; else None."""
    needs = {(t.resources, t.node_labels, t.min_workers) for t in map(_task, triggers)}
    if len(needs) > 1:
        return None
    ((need, labels, workers),) = needs
    if workers > 1 or labels:
        return None
    return sum(min(need.times_fitting(node.capacity), 10_000) for node in nodes)


def _by_cores(nodes: Sequence[Node], triggers: Sequence[Trigger], costs: dict[TriggerId, float]) -> list[str]:
    """Needs differ: no test of the literature fits, but nothing runs on more cores than there are."""
    cores = sum(node.capacity.cpu_m for node in nodes) / 1000
    used = sum(
        costs[one.id] * _task(one).min_workers * _task(one).resources.cpu_m / (one.period_ms or 1)
        for one in triggers
    )
    if not nodes or used <= cores:
        return []
    return [
        f"not all deadlines can be met: the triggers' tasks need {used:.1f} cores, and there are {cores:g}"
    ]
