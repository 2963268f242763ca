"""Whether a plan keeps every rule. Shares no code with any algorithm: NumPy only, vectorised.

Rules: every task has a copy; a copy takes exactly its time; a processor runs one copy at a time; a copy
starts after the data of each parent has arrived. *Multi-port* (duplex): data leave when a copy of the
parent ends and arrive after the edge's cost, or at once on the same processor. *Single-port* (duplex):
each transfer that takes time is a row of ``transfers``, and a processor sends at most one and receives at
most one at a time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from trainmaster.dagsched.errors import (
    MissingTaskError,
    OverlapError,
    PlacementError,
    PortError,
    PrecedenceError,
)

# A ``Plan``; plans import this module, so it cannot import them.
Plan = Any

RELATIVE_TOLERANCE = 1e-9
CHUNK = 1 << 20


def validate(plan: Plan) -> None:
    """Raise the error of the first broken rule; return nothing when all hold.

    Raises ``MissingTaskError``, ``PlacementError``, ``OverlapError``, ``PrecedenceError`` or
    ``PortError``. Times may differ by 1e-9 of the makespan. O(Σ copies · edges · copies) memory in chunks.
    """
    rows = plan.placements
    slack = RELATIVE_TOLERANCE * max(float(np.abs(rows["finish"]).max(initial=0.0)), 1e-300)
    _check_rows(plan, slack)
    _check_overlap(rows, slack)
    transfers = plan.transfers
    if plan.ports == "single":
        _check_ports(plan, slack)
    else:
        transfers = transfers[:0]
    _check_precedence(plan, transfers, slack)


def _check_rows(plan: Plan, slack: float) -> None:
    rows, n, p = plan.placements, plan.graph.n, plan.processors

    def refuse(bad: npt.NDArray[Any], reason: str) -> None:
        if bad.any():
            row = int(np.argmax(bad))
            raise PlacementError(row, int(rows["task"][row]), int(rows["processor"][row]), reason)

    refuse((rows["task"] < 0) | (rows["task"] >= n), f"tasks are numbered 0 to {n - 1}")
    refuse((rows["processor"] < 0) | (rows["processor"] >= p), f"processors are numbered 0 to {p - 1}")
    refuse(~np.isfinite(rows["start"]) | ~np.isfinite(rows["finish"]), "times must be finite")
    refuse(rows["start"] < 0, "starts before time 0")
    length = plan.machine.time(rows["task"], rows["processor"])
    refuse(np.abs(rows["finish"] - rows["start"] - length) > slack, "its length is not the task's time")
    present = np.zeros(n, np.bool_)
    present[rows["task"]] = True
    if not present.all():
        raise MissingTaskError(int(np.argmin(present)))
    pair = np.sort(rows["task"].astype(np.int64) * p + rows["processor"])
    twice = pair[1:] == pair[:-1]
    if twice.any():
        task, processor = divmod(int(pair[int(np.argmax(twice))]), p)
        row = int(np.flatnonzero((rows["task"] == task) & (rows["processor"] == processor))[1])
        raise PlacementError(row, task, processor, "a second copy on the same processor")


def _check_overlap(rows: npt.NDArray[Any], slack: float) -> None:
    ordered = rows[np.lexsort((rows["finish"], rows["start"], rows["processor"]))]
    first, second = ordered[:-1], ordered[1:]
    bad = (first["processor"] == second["processor"]) & (second["start"] < first["finish"] - slack)
    if bad.any():
        k = int(np.argmax(bad))
        raise OverlapError(
            int(first["processor"][k]),
            int(first["task"][k]),
            int(second["task"][k]),
            float(first["finish"][k]),
            float(second["start"][k]),
        )


def _expand(lengths: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """For groups of these lengths: the group of each element, and its position in the group."""
    group = np.repeat(np.arange(lengths.size), lengths)
    first = np.cumsum(lengths) - lengths
    return group, np.arange(group.size) - first[group]


def _check_precedence(plan: Plan, transfers: npt.NDArray[Any], slack: float) -> None:
    graph, rows = plan.graph, plan.placements
    a = graph.arrays
    by_task = np.argsort(rows["task"], kind="stable")
    copies = np.bincount(rows["task"], minlength=graph.n)
    first_copy = np.cumsum(copies) - copies
    indegree = np.diff(a.pred_ptr)
    delivered = _deliveries(plan, transfers)
    # Chunks of placements, so that memory stays bounded on large graphs.
    cost_of_row = 1 + indegree[rows["task"]] * 2
    cuts = np.unique(np.searchsorted(np.cumsum(cost_of_row), np.arange(CHUNK, cost_of_row.sum(), CHUNK)))
    for part in np.split(np.arange(rows.size), cuts):
        if part.size == 0:
            continue
        task = rows["task"][part]
        row, k = _expand(indegree[task])
        edge = a.pred_ptr[task[row]] + k
        parent = a.pred[edge]
        if parent.size == 0:
            continue
        where = rows["processor"][part][row]
        need, c = _expand(copies[parent])
        source = by_task[first_copy[parent[need]] + c]
        remote = rows["processor"][source] != where[need]
        delay = np.where(remote, a.pred_cost[edge][need], 0.0)
        if plan.ports == "single":
            # Only data that take no time move without a transfer.
            delay = np.where(remote & (delay > 0), np.inf, delay)
        arrival = np.minimum.reduceat(
            rows["finish"][source] + delay, np.cumsum(copies[parent]) - copies[parent]
        )
        if delivered is not None:
            arrival = np.minimum(arrival, delivered(parent, task[row], where))
        late = arrival > rows["start"][part][row] + slack
        if late.any():
            i = int(np.argmax(late))
            raise PrecedenceError(
                int(task[row[i]]),
                int(parent[i]),
                int(where[i]),
                float(rows["start"][part][row[i]]),
                float(arrival[i]),
            )


def _deliveries(plan: Plan, transfers: npt.NDArray[Any]) -> Any:
    """A function from (source, target, processor) to the time a transfer brings the data, inf if none."""
    if transfers.size == 0:
        return None
    n, p = plan.graph.n, plan.processors
    edge_key = transfers["source"].astype(np.int64) * n + transfers["target"]
    edges, edge_number = np.unique(edge_key, return_inverse=True)
    key = edge_number.astype(np.int64) * p + transfers["to_processor"]
    order = np.lexsort((transfers["finish"], key))
    keys, finish = key[order], transfers["finish"][order]

    def time(source: Any, target: Any, processor: Any) -> Any:
        wanted_edge = source.astype(np.int64) * n + target
        at = np.minimum(np.searchsorted(edges, wanted_edge), edges.size - 1)
        wanted = np.where(edges[at] == wanted_edge, at.astype(np.int64) * p + processor, -1)
        slot = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
        return np.where(keys[slot] == wanted, finish[slot], np.inf)

    return time


def _check_ports(plan: Plan, slack: float) -> None:
    rows, moves, graph, p = plan.placements, plan.transfers, plan.graph, plan.processors
    if moves.size == 0:
        return

    def refuse(bad: npt.NDArray[Any], direction: str, reason: str, order: Any = None) -> None:
        if bad.any():
            k = int(np.argmax(bad))
            move = moves[k if order is None else order[k]]
            where = move["from_processor"] if direction == "send" else move["to_processor"]
            raise PortError(int(where), direction, int(move["source"]), int(move["target"]), reason)

    for end, direction in (("from_processor", "send"), ("to_processor", "receive")):
        refuse((moves[end] < 0) | (moves[end] >= p), direction, f"processors are numbered 0 to {p - 1}")
    source, target, cost = graph.edges()
    keys = source.astype(np.int64) * graph.n + target
    wanted = moves["source"].astype(np.int64) * graph.n + moves["target"]
    at = np.minimum(np.searchsorted(keys, wanted), keys.size - 1)
    refuse(keys[at] != wanted, "send", "the graph has no such edge")
    refuse(
        np.abs(moves["finish"] - moves["start"] - cost[at]) > slack,
        "send",
        "it does not take the edge's cost",
    )
    # The data must exist at the sender when the transfer starts.
    copy_key = rows["task"].astype(np.int64) * p + rows["processor"]
    order = np.argsort(copy_key)
    asked = moves["source"].astype(np.int64) * p + moves["from_processor"]
    slot = np.minimum(np.searchsorted(copy_key[order], asked), order.size - 1)
    refuse(copy_key[order][slot] != asked, "send", "no copy of the source runs there")
    refuse(
        rows["finish"][order][slot] > moves["start"] + slack,
        "send",
        "it starts before its source has finished",
    )
    for end, direction in (("from_processor", "send"), ("to_processor", "receive")):
        order = np.lexsort((moves["finish"], moves["start"], moves[end]))
        ordered = moves[order]
        bad = (ordered[end][1:] == ordered[end][:-1]) & (
            ordered["start"][1:] < ordered["finish"][:-1] - slack
        )
        refuse(bad, direction, "the port still carries an earlier transfer", order[1:])
