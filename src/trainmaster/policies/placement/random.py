"""Any node that fits: the baseline of DTES."""

from __future__ import annotations

from trainmaster.domain.chance import mix
from trainmaster.domain.task import Task
from trainmaster.policies.base import Context, NodeView


class Random:
    """Uniform among the nodes with room, reproducible from the context's salt."""

    name = "random"
    by_node_alone = False

    def score(self, node: NodeView, task: Task, context: Context) -> tuple[float, ...]:
        return (mix(context.salt, node.order),)
