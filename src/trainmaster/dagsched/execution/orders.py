"""What each lane has to do, read off a plan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainmaster.dagsched.plan import Plan


@dataclass(frozen=True, slots=True)
class Step:
    """One call on a lane: ``task`` with the results of ``parents``, then sent to the lanes in ``send_to``."""

    task: int
    parents: tuple[int, ...]
    send_to: tuple[int, ...]
    keep: bool


def orders_of(plan: Plan) -> list[list[Step]]:
    """The steps of every lane, in the plan's order.

    Each copy takes the data of a parent from the copy the plan has them from first (ties: a copy on its own
    lane, then the lower lane); each result is sent once to each lane that needs it. ``keep`` marks, of the
    copies of a task, the one whose result is handed back: the first to finish, then the lower lane.
    """
    rows = plan.placements
    g = plan.graph.arrays
    copies: dict[int, list[tuple[float, int]]] = {}
    for row in rows.tolist():
        copies.setdefault(row[0], []).append((row[3], row[1]))
    keeper = {task: min(found)[1] for task, found in copies.items()}
    receivers: dict[tuple[int, int], set[int]] = {}
    brought = {
        (int(t["source"]), int(t["target"]), int(t["to_processor"])): int(t["from_processor"])
        for t in plan.transfers
    }
    for task, lane, _, _ in rows.tolist():
        for e in range(g.pred_ptr[task], g.pred_ptr[task + 1]):
            parent, cost = int(g.pred[e]), float(g.pred_cost[e])
            source = brought.get((parent, task, lane))
            if source is None:
                source = min(
                    (finish + (0.0 if where == lane else cost), where != lane, where)
                    for finish, where in copies[parent]
                )[2]
            if source != lane:
                receivers.setdefault((parent, source), set()).add(lane)
    steps = []
    for lane, placed in enumerate(plan.lanes()):
        steps.append(
            [
                Step(
                    task,
                    tuple(int(u) for u in g.pred[g.pred_ptr[task] : g.pred_ptr[task + 1]]),
                    tuple(sorted(receivers.get((task, lane), ()))),
                    keeper[task] == lane,
                )
                for task in np.asarray(placed["task"]).tolist()
            ]
        )
    return steps
