"""Delay scheduling (Zaharia et al., EuroSys 2010): wait a little for a node that has the data."""

from __future__ import annotations

from dataclasses import dataclass

from trainmaster.domain.task import Task
from trainmaster.policies.base import Context, NodeView


@dataclass(frozen=True, slots=True)
class Delay:
    """Among the nodes with room those that hold the task's data first, then those of its rack, then any.

    The nodes and racks are the task's labels `data` (node names) and `rack`, comma-separated; a node's rack
    is what its name has before the first dot. The paper makes the head of the queue skip a non-local slot up
    to D times; a placement cannot refuse a node, so the wait is the business of the ordering's discipline.
    Ties: the node with the most room for the task.
    """

    name: str = "delay"
    by_node_alone: bool = False

    def score(self, node: NodeView, task: Task, context: Context) -> tuple[float, ...]:
        labels = dict(task.spec.labels)
        local = node.id in labels.get("data", "").split(",")
        rack = node.id.split(".")[0] in labels.get("rack", "").split(",")
        level = 0 if local else 1 if rack else 2
        return (level, -task.spec.resources.times_fitting(node.free))
