"""Fill nodes up, so that large tasks still find an empty one."""

from __future__ import annotations

from trainmaster.domain.task import Task
from trainmaster.policies.base import Context, NodeView


class Binpack:
    """Best fit: the node with the largest part already given away."""

    name = "binpack"
    by_node_alone = True

    def score(self, node: NodeView, task: Task, context: Context) -> tuple[float, ...]:
        return (-node.allocated,)
