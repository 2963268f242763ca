"""The JSON of the DNN-partitioning benchmarks (msr-fiddle): profiled operator and layer graphs."""

from __future__ import annotations

import json

from trainmaster.dagsched.errors import OptionError
from trainmaster.dagsched.graph import TaskGraph
from trainmaster.dagsched.io.shared import by_name, edge_rows, json_object, names_of, need, number

NAME = "dnn"
DEVICES = {"accelerator": "fpgaLatency", "cpu": "cpuLatency"}


def loads(text: str, *, device: str = "accelerator") -> TaskGraph:
    """Read a graph; times are the latencies on ``device`` ("accelerator" or "cpu"), costs those of the edges.

    Milliseconds, as in the files. Tasks keep the order of the file and are named "id name". Raises
    ``FormatError``, ``GraphError``, ``OptionError``.
    """
    if device not in DEVICES:
        raise OptionError("device", device, f"must be one of {', '.join(DEVICES)}")
    document = json_object(text, NAME)
    work: dict[str, float] = {}
    names: list[str] = []
    for node in need(document, "nodes", list, NAME, "document"):
        key = str(node.get("id"))
        work[key] = number(node.get(DEVICES[device]), NAME, f"node {key}")
        names.append(f"{key} {node.get('name', '')}".strip())
    edges = [
        (str(edge.get("sourceId")), str(edge.get("destId")), number(edge.get("cost"), NAME, "edge"))
        for edge in need(document, "edges", list, NAME, "document")
    ]
    graph = by_name(NAME, work, edges)
    graph.names = tuple(names)
    return graph


def dumps(graph: TaskGraph) -> str:
    """Write a graph with equal latencies on both devices and no sizes."""
    nodes = [
        {
            "id": task,
            "name": name,
            "supportedOnFpga": True,
            "cpuLatency": time,
            "fpgaLatency": time,
            "isBackwardNode": False,
            "size": 0.0,
        }
        for task, (name, time) in enumerate(zip(names_of(graph), graph.work.tolist(), strict=True))
    ]
    edges = [{"sourceId": u, "destId": v, "cost": c, "size": 0.0} for u, v, c in edge_rows(graph)]
    return json.dumps({"maxFPGAs": 1, "maxCPUs": 1, "nodes": nodes, "edges": edges})
