"""As few nodes as can be: workers of one task that share a node need no network."""

from __future__ import annotations

from trainmaster.domain.task import Task
from trainmaster.policies.base import Context, NodeView


class Consolidate:
    """First a node that holds workers of the task already, then the one with room for the most of them.

    Among nodes with equal room the first, as the Pollux artifact places for Tiresias and Optimus.
    """

    name = "consolidate"
    by_node_alone = False

    def score(self, node: NodeView, task: Task, context: Context) -> tuple[float, ...]:
        room = task.spec.resources.times_fitting(node.free)
        return (not context.here.get(node.id, 0), -room)
