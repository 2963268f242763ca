"""`python -m trainmaster.service.planner`: a static plan in a process of its own.

The kernels are compiled at their first use, for many seconds and holding the interpreter, and numba stays in
memory: neither belongs into the service. Reads one JSON object and writes one; see `workflow_plan`.
"""

from __future__ import annotations

import json
import os
import sys


def main() -> None:
    os.nice(5)  # tasks go first
    from trainmaster.dagsched import TaskGraph, schedule

    asked = json.load(sys.stdin)
    graph = TaskGraph(asked["work"], [(source, target, 0.0) for source, target in asked["edges"]])
    plan = schedule(graph, asked["processors"], asked["algorithm"])
    json.dump(
        {
            "makespan": plan.makespan,
            "lower_bound": plan.lower_bound,
            "placements": [
                (int(row["task"]), int(row["processor"]), float(row["start"]), float(row["finish"]))
                for row in plan.placements
            ],
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
