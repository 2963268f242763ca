"""Static scheduling of weighted task graphs on processors that must send each other data.

    from trainmaster.dagsched import TaskGraph, schedule

    g = TaskGraph(work=[2, 3, 1], edges=[(0, 1, 4), (0, 2, 1)])
    plan = schedule(g, processors=2, algorithm="auto")
    plan.makespan, plan.lower_bound, plan.gap

Names are imported when first used, so that ``import trainmaster.dagsched`` stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainmaster.dagsched.bounds import Bounds, lower_bounds
    from trainmaster.dagsched.execution import Execution, Lanes, execute
    from trainmaster.dagsched.gantt import gantt_html, gantt_svg
    from trainmaster.dagsched.generator import generate
    from trainmaster.dagsched.graph import TaskGraph
    from trainmaster.dagsched.io import read_graph, write_graph
    from trainmaster.dagsched.plan import Plan
    from trainmaster.dagsched.registry import ALGORITHMS
    from trainmaster.dagsched.scheduling import schedule
    from trainmaster.dagsched.validation import validate

_HOMES = {
    "ALGORITHMS": "registry",
    "Bounds": "bounds",
    "Execution": "execution",
    "Lanes": "execution",
    "Plan": "plan",
    "TaskGraph": "graph",
    "execute": "execution",
    "gantt_html": "gantt",
    "gantt_svg": "gantt",
    "generate": "generator",
    "lower_bounds": "bounds",
    "read_graph": "io",
    "schedule": "scheduling",
    "validate": "validation",
    "write_graph": "io",
}

__all__ = [
    "ALGORITHMS",
    "Bounds",
    "Execution",
    "Lanes",
    "Plan",
    "TaskGraph",
    "execute",
    "gantt_html",
    "gantt_svg",
    "generate",
    "lower_bounds",
    "read_graph",
    "schedule",
    "validate",
    "write_graph",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
