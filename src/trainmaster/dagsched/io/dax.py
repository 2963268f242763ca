"""DAX of Pegasus (XML): jobs with runtimes, files they use, and child–parent relations."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from trainmaster.dagsched.errors import FormatError
from trainmaster.dagsched.graph import TaskGraph
from trainmaster.dagsched.io.shared import by_name, edge_rows, names_of, number, positive
from trainmaster.dagsched.io.wfformat import BANDWIDTH

NAME = "dax"


def loads(text: str, *, bandwidth: float = BANDWIDTH) -> TaskGraph:
    """Read DAX; an edge costs the bytes its parent writes and it reads, over ``bandwidth`` (bytes/s).

    Documents with a DTD or entities are refused: DAX has none, and they can blow up. Raises
    ``FormatError``, ``GraphError``.
    """
    positive(bandwidth, "bandwidth", NAME)
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise FormatError(NAME, "document", "document type declarations are not read")
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise FormatError(NAME, f"line {error.position[0]}", "not well-formed XML") from None
    work: dict[str, float] = {}
    reads: dict[str, dict[str, float]] = {}
    writes: dict[str, dict[str, float]] = {}
    edges: list[tuple[str, str]] = []
    for element in root:
        kind = element.tag.rsplit("}", 1)[-1]
        if kind == "job":
            name = _attribute(element, "id")
            work[name] = number(element.get("runtime", "0"), NAME, f"runtime of {name}")
            reads[name], writes[name] = {}, {}
            for use in element:
                if use.tag.rsplit("}", 1)[-1] != "uses":
                    continue
                file = use.get("file") or use.get("name") or ""
                side = {"input": reads, "output": writes}.get(use.get("link", ""))
                if side is not None:
                    side[name][file] = number(use.get("size", "0"), NAME, f"size of {file}")
        elif kind == "child":
            child = _attribute(element, "ref")
            edges += [(_attribute(parent, "ref"), child) for parent in element]

    def cost(parent: str, child: str) -> float:
        made, used = writes.get(parent, {}), reads.get(child, {})
        return sum(size for file, size in made.items() if file in used) / bandwidth

    return by_name(NAME, work, ((u, v, cost(u, v)) for u, v in dict.fromkeys(edges)))


def dumps(graph: TaskGraph) -> str:
    """Write DAX 2.1 with one file per edge; sizes are whole bytes at the default bandwidth."""
    names = names_of(graph)
    root = ET.Element("adag", {"xmlns": "http://pegasus.isi.edu/schema/DAX", "version": "2.1"})
    jobs = []
    for name, time in zip(names, graph.work.tolist(), strict=True):
        jobs.append(ET.SubElement(root, "job", {"id": name, "name": name, "runtime": repr(time)}))
    above: dict[int, list[int]] = {}
    for u, v, cost in edge_rows(graph):
        file = {"file": f"{names[u]}->{names[v]}", "size": str(round(cost * BANDWIDTH))}
        ET.SubElement(jobs[u], "uses", {**file, "link": "output"})
        ET.SubElement(jobs[v], "uses", {**file, "link": "input"})
        above.setdefault(v, []).append(u)
    for v, parents in above.items():
        child = ET.SubElement(root, "child", {"ref": names[v]})
        for u in parents:
            ET.SubElement(child, "parent", {"ref": names[u]})
    return ET.tostring(root, encoding="unicode")


def _attribute(element: ET.Element, name: str) -> str:
    value = element.get(name)
    if value is None:
        raise FormatError(NAME, f"<{element.tag.rsplit('}', 1)[-1]}>", f"needs the attribute {name!r}")
    return value
