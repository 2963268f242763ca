"""Dask graphs, in and out; without importing Dask.

A Dask graph is a dictionary from keys to tasks. A task is a tuple that begins with a callable, an object with
``dependencies`` (Dask ≥ 2024.9), another key, or data. Dask does not know times, so the caller gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from trainmaster.dagsched.errors import FormatError
from trainmaster.dagsched.graph import TaskGraph
from trainmaster.dagsched.io.shared import edge_rows

NAME = "dask"
Key = Hashable


def from_dask(
    dsk: Mapping[Key, Any],
    *,
    work: float | Mapping[Key, float] | Callable[[Key], float] = 1.0,
    cost: float | Callable[[Key, Key], float] = 0.0,
) -> TaskGraph:
    """A task graph with a task per key, in the mapping's order, named by the key's text.

    ``work``: a time for all, a mapping by key (1 where missing) or a function of the key; ``cost``: for all
    edges or a function of (producer, consumer). Raises ``GraphError``.
    """
    keys = list(dsk)
    index = {key: i for i, key in enumerate(keys)}

    def time(key: Key) -> float:
        if isinstance(work, Mapping):
            return work.get(key, 1.0)
        return work(key) if callable(work) else work

    edges = [
        (parent, index[key], cost(keys[parent], key) if callable(cost) else cost)
        for key in keys
        for parent in sorted({index[found] for found in _dependencies(dsk[key], dsk)})
    ]
    return TaskGraph([time(key) for key in keys], edges, [str(key) for key in keys])


def to_dask(graph: TaskGraph, functions: Sequence[Callable[..., Any]]) -> dict[Key, Any]:
    """A Dask graph that calls ``functions[v]`` with the results of v's parents, in order of their number.

    Keys are task numbers. Raises ``FormatError`` if the numbers of functions and tasks differ.
    """
    if len(functions) != graph.n:
        raise FormatError(NAME, "functions", f"needs {graph.n}, has {len(functions)}")
    parents: list[list[int]] = [[] for _ in range(graph.n)]
    for u, v, _ in edge_rows(graph):
        parents[v].append(u)
    return {v: (functions[v], *parents[v]) for v in range(graph.n)}


def _dependencies(task: Any, dsk: Mapping[Key, Any]) -> set[Key]:
    declared = getattr(task, "dependencies", None)
    if declared is not None and not callable(declared):
        return {key for key in declared if key in dsk}
    found: set[Key] = set()
    waiting = [task]
    while waiting:
        item = waiting.pop()
        if isinstance(item, tuple) and item and callable(item[0]):
            waiting.extend(item[1:])
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, dict):
            waiting.extend(item.values())
        else:
            try:
                known = item in dsk
            except TypeError:
                # Data that cannot be a key.
                continue
            if known:
                found.add(item)
    return found
