"""NetworkX graphs, in and out."""

from __future__ import annotations

from typing import Any

from trainmaster.dagsched.errors import FormatError, MissingExtraError
from trainmaster.dagsched.graph import TaskGraph
from trainmaster.dagsched.io.shared import edge_rows, names_of, number

NAME = "networkx"


def from_networkx(
    graph: Any,
    *,
    work: str = "work",
    cost: str = "cost",
    default_work: float = 1.0,
    default_cost: float = 0.0,
) -> TaskGraph:
    """A task graph from a ``DiGraph``; nodes in its order, named by their text.

    ``work`` and ``cost`` name the attributes; what lacks them gets the default. Multigraphs with parallel
    edges and undirected graphs are refused. Raises ``FormatError``, ``GraphError``.
    """
    if not graph.is_directed():
        raise FormatError(NAME, "graph", "must be directed")
    nodes = list(graph.nodes(data=True))
    index = {node: i for i, (node, _) in enumerate(nodes)}
    times = [number(data.get(work, default_work), NAME, f"node {node!r}") for node, data in nodes]
    edges = [
        (index[u], index[v], number(data.get(cost, default_cost), NAME, f"edge {u!r} → {v!r}"))
        for u, v, data in graph.edges(data=True)
    ]
    return TaskGraph(times, edges, [str(node) for node, _ in nodes])


def to_networkx(graph: TaskGraph) -> Any:
    """A ``DiGraph`` with attributes ``work`` and ``cost``. Raises ``MissingExtraError`` without networkx."""
    try:
        import networkx
    except ImportError:
        raise MissingExtraError("to_networkx", "networkx") from None
    names = names_of(graph)
    result = networkx.DiGraph()
    for name, time in zip(names, graph.work.tolist(), strict=True):
        result.add_node(name, work=time)
    for u, v, c in edge_rows(graph):
        result.add_edge(names[u], names[v], cost=c)
    return result
