"""WfFormat of WfCommons (JSON, schema 1.4 and 1.5): workflow executions.

A task's time is its measured runtime; an edge costs the bytes of the files its parent writes and it reads,
over the bandwidth.
"""

from __future__ import annotations

import json

from trainmaster.dagsched.graph import TaskGraph
from trainmaster.dagsched.io.shared import by_name, edge_rows, json_object, names_of, need, number, positive

NAME = "wfformat"
BANDWIDTH = 1.25e8


def loads(text: str, *, bandwidth: float = BANDWIDTH) -> TaskGraph:
    """Read a WfFormat document. ``bandwidth`` in bytes per second (1 Gbit/s by default); times in seconds.

    Dependencies are the union of the ``parents`` and ``children`` lists. Raises ``FormatError``,
    ``GraphError``.
    """
    positive(bandwidth, "bandwidth", NAME)
    workflow = need(json_object(text, NAME), "workflow", dict, NAME, "document")
    specification = need(workflow, "specification", dict, NAME, "workflow")
    tasks = need(specification, "tasks", list, NAME, "specification")
    execution = need(workflow, "execution", dict, NAME, "workflow")
    runtimes = {
        str(need(row, "id", str, NAME, "execution task")): number(
            row.get("runtimeInSeconds"), NAME, f"runtime of {row['id']}"
        )
        for row in need(execution, "tasks", list, NAME, "execution")
    }
    sizes = {
        need(row, "id", str, NAME, "file"): number(row.get("sizeInBytes", 0), NAME, f"size of {row['id']}")
        for row in specification.get("files", [])
    }
    work: dict[str, float] = {}
    reads: dict[str, set[str]] = {}
    writes: dict[str, set[str]] = {}
    links: dict[tuple[str, str], None] = {}
    for task in tasks:
        name = need(task, "id", str, NAME, "task")
        work[name] = runtimes.get(name, 0.0)
        reads[name] = set(task.get("inputFiles", []))
        writes[name] = set(task.get("outputFiles", []))
        links.update({(parent, name): None for parent in task.get("parents", [])})
        links.update({(name, child): None for child in task.get("children", [])})
    edges = []
    for parent, child in links:
        # Summed in a fixed order: sets of strings have none, and floating-point sums need one.
        shared = sorted(writes.get(parent, set()) & reads.get(child, set()))
        edges.append((parent, child, sum(sizes.get(file, 0.0) for file in shared) / bandwidth))
    return by_name(NAME, work, edges)


def dumps(graph: TaskGraph) -> str:
    """Write WfFormat 1.5 with one file per edge; sizes are whole bytes at the default bandwidth."""
    names = names_of(graph)
    tasks = [
        {"name": name, "id": name, "parents": [], "children": [], "inputFiles": [], "outputFiles": []}
        for name in names
    ]
    files = []
    for u, v, cost in edge_rows(graph):
        file = f"{names[u]}->{names[v]}"
        files.append({"id": file, "sizeInBytes": round(cost * BANDWIDTH)})
        tasks[u]["children"].append(names[v])  # type: ignore[attr-defined]
        tasks[u]["outputFiles"].append(file)  # type: ignore[attr-defined]
        tasks[v]["parents"].append(names[u])  # type: ignore[attr-defined]
        tasks[v]["inputFiles"].append(file)  # type: ignore[attr-defined]
    runs = [
        {"id": name, "runtimeInSeconds": time} for name, time in zip(names, graph.work.tolist(), strict=True)
    ]
    document = {
        "name": "trainmaster graph",
        "schemaVersion": "1.5",
        "workflow": {
            "specification": {"tasks": tasks, "files": files},
            "execution": {"makespanInSeconds": float(graph.work.sum()), "tasks": runs},
        },
    }
    return json.dumps(document)
