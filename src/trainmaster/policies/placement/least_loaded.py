"""DTES: the node under the least pressure."""

from __future__ import annotations

from trainmaster.domain.task import Task
from trainmaster.policies.base import Context, NodeView


def load(node: NodeView) -> float:
    """Pressure of a node, 0..1: what was measured or what is already given away, whichever is larger.

    Measurements lag by up to 5 s (DTES samples as often); without the second term every task of such an
    interval would go to the same node.
    """
    return max(node.pressure, node.allocated)


class LeastLoaded:
    """The smallest load, then the fewest runs per core."""

    name = "least_loaded"
    by_node_alone = True

    def score(self, node: NodeView, task: Task, context: Context) -> tuple[float, ...]:
        return (load(node), node.runs / max(node.capacity.cpu_m, 1))
