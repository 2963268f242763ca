"""One node after the other: the sequential baseline of DTES."""

from __future__ import annotations

from trainmaster.domain.task import Task
from trainmaster.policies.base import Context, NodeView


class RoundRobin:
    """The first node with room at or after the task's place in the circle of nodes.

    Taking the place from the task (its number and attempt) keeps the policy free of memory; consecutive
    submissions visit consecutive nodes.
    """

    name = "round_robin"
    by_node_alone = False

    def score(self, node: NodeView, task: Task, context: Context) -> tuple[float, ...]:
        start = (task.seq + task.attempt) % context.nodes
        return ((node.order - start) % context.nodes,)
