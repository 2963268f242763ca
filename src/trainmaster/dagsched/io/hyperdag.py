"""HyperDAG text files (version 1): each hyperedge is data that its first pin makes and the others use."""

from __future__ import annotations

import numpy as np

from trainmaster.dagsched.errors import FormatError
from trainmaster.dagsched.graph import TaskGraph

NAME = "hyperdag"


def loads(text: str) -> TaskGraph:
    """Read a HyperDAG: node weights are times, hyperedge weights costs (1 where there is none).

    Data that several hyperedges carry between two nodes are summed. Raises ``FormatError``, ``GraphError``.
    """
    rows = []
    for count, line in enumerate(text.splitlines(), 1):
        content = line.split("%", 1)[0].split()
        if content:
            try:
                rows.append([int(field) for field in content])
            except ValueError:
                raise FormatError(NAME, f"line {count}", "needs whole numbers") from None
    if not rows or len(rows[0]) < 3:
        raise FormatError(NAME, "first line", "needs the numbers of hyperedges, nodes and pins")
    hyperedges, nodes, pins = rows[0][:3]
    if min(hyperedges, nodes, pins) < 0 or len(rows) - 1 != hyperedges + nodes + pins:
        raise FormatError(
            NAME, "first line", f"promises {hyperedges + nodes + pins} lines, but {len(rows) - 1} follow"
        )
    cost = _weights(rows[1 : 1 + hyperedges], hyperedges, "hyperedge")
    work = _weights(rows[1 + hyperedges : 1 + hyperedges + nodes], nodes, "node")
    source: dict[int, int] = {}
    edges: dict[tuple[int, int], float] = {}
    for row in rows[1 + hyperedges + nodes :]:
        if len(row) < 2 or not 0 <= row[0] < hyperedges or not 0 <= row[1] < nodes:
            raise FormatError(NAME, "pins", f"{row} names no hyperedge and node")
        edge, node = row[:2]
        if edge not in source:
            source[edge] = node
        else:
            key = source[edge], node
            edges[key] = edges.get(key, 0.0) + cost[edge]
    return TaskGraph(work, [(u, v, c) for (u, v), c in edges.items()])


def dumps(graph: TaskGraph) -> str:
    """Write one hyperedge per edge. Weights must be whole numbers. Raises ``FormatError``. Names are lost."""
    source, target, cost = graph.edges()
    if np.any(graph.work % 1) or np.any(cost % 1):
        raise FormatError(NAME, "weights", "only whole numbers can be written; scale and round them first")
    lines = ["% HyperDAG file format v1", f"{graph.m} {graph.n} {2 * graph.m}"]
    lines += [f"{e} {int(c)}" for e, c in enumerate(cost)]
    lines += [f"{v} {int(w)}" for v, w in enumerate(graph.work)]
    for e, (u, v) in enumerate(zip(source.tolist(), target.tolist(), strict=True)):
        lines += [f"{e} {u}", f"{e} {v}"]
    return "\n".join(lines) + "\n"


def _weights(rows: list[list[int]], count: int, what: str) -> list[float]:
    weights = [1.0] * count
    seen = set()
    for row in rows:
        if not 0 <= row[0] < count or row[0] in seen:
            raise FormatError(NAME, what, f"{row[0]} is out of range or comes twice")
        seen.add(row[0])
        if len(row) > 1:
            weights[row[0]] = float(row[1])
    return weights
