"""Follow a static plan: every task on the node it is planned for."""

from __future__ import annotations

import math

from trainmaster.domain.task import Task
from trainmaster.policies.base import Context, NodeView
from trainmaster.policies.placement.least_loaded import load


class PlanPlacement:
    """Only the planned node while that takes work and could hold the task, even if the task must wait.

    Once it is gone, and for tasks without a plan: the least loaded node.
    """

    name = "plan"
    by_node_alone = False

    def score(self, node: NodeView, task: Task, context: Context) -> tuple[float, ...]:
        planned = task.spec.planned
        if planned is not None and context.planned_node_usable:
            return (0.0 if node.id == planned.node else math.inf,)
        return (load(node), node.runs / max(node.capacity.cpu_m, 1))
