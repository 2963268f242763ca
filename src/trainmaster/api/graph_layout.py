"""Where the stages of a workflow are drawn: in layers from left to right, computed once for each version.

A stage's layer is the longest way to it (Sugiyama, Tagawa and Toda, 1981, with the simplest layering); within
the layers stages are ordered by the mean place of their neighbours, forth and back a few times, which takes
most crossings out. O(sweeps · (stages + dependencies) · log) and no iteration depends on time.
"""

from __future__ import annotations

from trainmaster.domain.workflow import Graph

_SWEEPS = 4


def layout(graph: Graph) -> tuple[list[int], list[float]]:
    """Of each stage its layer from 0 and its place from the top, in rows; layers are centred."""
    layer = [0] * len(graph.before)
    for number in graph.order:
        layer[number] = max((layer[need] + 1 for need in graph.before[number]), default=0)
    rows: list[list[int]] = [[] for _ in range(max(layer) + 1)]
    for number in range(len(layer)):
        rows[layer[number]].append(number)
    place = [0.0] * len(layer)
    _number(rows, place)
    for sweep in range(_SWEEPS):
        forth = sweep % 2 == 0
        neighbours = graph.before if forth else graph.behind
        for row in rows if forth else reversed(rows):
            means = {n: _mean([place[m] for m in neighbours[n]], place[n]) for n in row}
            row.sort(key=lambda n: (means[n], n))
            _number([row], place)
    tallest = max(map(len, rows))
    for row in rows:
        for at, number in enumerate(row):
            place[number] = at + (tallest - len(row)) / 2
    return layer, place


def _number(rows: list[list[int]], place: list[float]) -> None:
    for row in rows:
        for at, number in enumerate(row):
            place[number] = at / max(len(row) - 1, 1)


def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
