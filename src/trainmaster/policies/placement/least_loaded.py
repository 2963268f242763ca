"""DTES: the node under the least pressure."""

from __future__ import annotations

from trainmaster.domain.task import Task
from trainmaster.policies.base import Context, NodeView

WORKER_CORES = 1.0  # what a worker is taken to use until it is measured, whatever it asks for
FULL = 0.95  # a node measured this busy may want more than it has


def demand(node: NodeView) -> float:
    """What the runs of a node want of it: 0 none, 1 all it has, more if they wait for each other.

    What was measured, less what left with the runs that have ended since, plus one core for each run the
    measurements do not cover yet; or what is already given away, if that is more. Measurements lag by up to
    5 s (DTES samples as often): by them alone every task of such an interval would go to the same node, and
    what tasks ask for need not be what they use. A run that has ended takes an equal part of the measured use
    with it, a core at most. A full node shows how much it has, not how much is wanted: there every run counts
    as one core. (DTES tells none of this; the parts, the core and the bound are ours.)
    """
    core = WORKER_CORES / max(node.cores, 1e-3)
    wanted, unmeasured = node.pressure, node.unmeasured
    if node.departed:
        remaining = node.runs - unmeasured
        wanted -= min(wanted * node.departed / (remaining + node.departed), node.departed * core)
    if node.pressure >= FULL:
        wanted = max(wanted, (node.runs - unmeasured) * core)
    return max(wanted + unmeasured * core, node.allocated)


def load(node: NodeView) -> float:
    """Pressure of a node, 0..1: the part of it that its runs use or soon will."""
    return min(demand(node), 1.0)


class LeastLoaded:
    """The smallest demand once the worker is there (DTES, section 3.2.1: by the task and the utilisation),
    then the fewest runs per core.

    On nodes of one size this is the node under the least pressure. On unequal ones an idle small node is not
    better than a large one with half its cores free.
    """

    name = "least_loaded"
    by_node_alone = True

    def score(self, node: NodeView, task: Task, context: Context) -> tuple[float, ...]:
        cores = max(node.cores, 1e-3)
        return (demand(node) + WORKER_CORES / cores, node.runs / cores)
