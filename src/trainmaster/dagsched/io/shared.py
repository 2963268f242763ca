"""What several formats need: JSON with typed errors, numbers, and edges by name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from trainmaster.dagsched.errors import FormatError
from trainmaster.dagsched.graph import TaskGraph


def json_object(text: str, format: str) -> dict[str, Any]:
    """The JSON object in ``text``. Raises ``FormatError`` with the line."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise FormatError(format, f"line {error.lineno}", error.msg) from None
    except RecursionError:
        raise FormatError(format, "document", "nested too deeply") from None
    if not isinstance(value, dict):
        raise FormatError(format, "document", "must be a JSON object")
    return value


def need(mapping: Any, key: str, kind: type, format: str, where: str) -> Any:
    """``mapping[key]``, which must be a ``kind``. Raises ``FormatError``."""
    if not isinstance(mapping, Mapping) or not isinstance(mapping.get(key), kind):
        raise FormatError(format, where, f"needs a {kind.__name__} called {key!r}")
    return mapping[key]


def number(value: Any, format: str, where: str) -> float:
    """A number, also written as text. Raises ``FormatError``."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise FormatError(format, where, f"{value!r} is not a number") from None


def positive(value: float, option: str, format: str) -> float:
    """A speed or a bandwidth. Raises ``FormatError``."""
    if not 0 < value < float("inf"):
        raise FormatError(format, option, f"must be a positive number, is {value!r}")
    return float(value)


def by_name(
    format: str,
    work: Mapping[str, float],
    edges: Iterable[tuple[str, str, float]],
    *,
    merge: str = "error",
) -> TaskGraph:
    """A graph from named tasks, in the mapping's order, and named edges.

    ``merge``: what to do with several edges between two tasks: "error" leaves them to the graph's own
    check, "sum" or "max" combines them. Raises ``FormatError`` for an edge to an unknown name.
    """
    names = list(work)
    index = {name: i for i, name in enumerate(names)}
    combined: dict[tuple[int, int], float] = {}
    rows: list[tuple[int, int, float]] = []
    for source, target, cost in edges:
        for name in (source, target):
            if name not in index:
                raise FormatError(format, f"edge {source} → {target}", f"there is no task {name!r}")
        key = index[source], index[target]
        if merge == "error":
            rows.append((*key, cost))
        elif merge == "sum":
            combined[key] = combined.get(key, 0.0) + cost
        else:
            combined[key] = max(combined.get(key, 0.0), cost)
    rows += [(*key, cost) for key, cost in combined.items()]
    return TaskGraph(list(work.values()), rows, names)


def names_of(graph: TaskGraph) -> list[str]:
    """The names of all tasks, numbers where there are none; made unique by their number if they are not."""
    names = [graph.name(task) for task in range(graph.n)]
    if len(set(names)) < len(names):
        names = [f"{name}#{task}" for task, name in enumerate(names)]
    return names


def edge_rows(graph: TaskGraph) -> list[tuple[int, int, float]]:
    """The edges as plain numbers, in order."""
    source, target, cost = graph.edges()
    return list(zip(source.tolist(), target.tolist(), cost.tolist(), strict=True))
