"""Our own JSON: ``{"format": "trainmaster-graph", "version": 1, "work": [...], "edges": [[u, v, cost], ...],
"names": [...]}``; names are optional. Numbers are written so that they read back exactly."""

from __future__ import annotations

import json

from trainmaster.dagsched.errors import FormatError
from trainmaster.dagsched.graph import TaskGraph
from trainmaster.dagsched.io.shared import edge_rows, json_object, need

NAME = "trainmaster-graph"
VERSION = 1


def loads(text: str) -> TaskGraph:
    """Read our JSON. Raises ``FormatError``, ``GraphError``."""
    document = json_object(text, NAME)
    if document.get("format") != NAME:
        raise FormatError(NAME, "format", f"must be {NAME!r}")
    if document.get("version") != VERSION:
        raise FormatError(NAME, "version", f"{document.get('version')!r} is not known; this reads {VERSION}")
    work = need(document, "work", list, NAME, "document")
    edges = need(document, "edges", list, NAME, "document")
    for position, edge in enumerate(edges):
        if not isinstance(edge, list) or len(edge) != 3:
            raise FormatError(NAME, f"edges[{position}]", "must be [source, target, cost]")
    names = document.get("names")
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise FormatError(NAME, "names", "must be a list of strings")
    return TaskGraph(work, edges, names)


def dumps(graph: TaskGraph) -> str:
    """Write our JSON."""
    document = {"format": NAME, "version": VERSION, "work": graph.work.tolist(), "edges": edge_rows(graph)}
    if graph.names is not None:
        document["names"] = list(graph.names)
    return json.dumps(document)
