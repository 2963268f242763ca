"""The coupled system: the fastest node, by the measured performance index."""

from __future__ import annotations

from trainmaster.domain.task import Task
from trainmaster.policies.base import Context, NodeView
from trainmaster.policies.placement.least_loaded import load


class PerformanceIndex:
    """The largest index (equations 1 and 2 of the coupled-scheduling paper) discounted by load.

    The probe runs at most every few seconds, so the index alone would send a whole burst to one node; it is
    multiplied by the unloaded fraction (our addition). Unmeasured nodes come last, the least loaded first.
    """

    name = "performance_index"
    by_node_alone = True

    def score(self, node: NodeView, task: Task, context: Context) -> tuple[float, ...]:
        busy = load(node)
        return (-node.index * (1.0 - busy), busy)
