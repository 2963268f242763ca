"""The recent measurements of nodes and runs, in memory only: a restart may forget them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from trainmaster.domain.cluster import Gauges
from trainmaster.domain.ids import NodeId, RunId
from trainmaster.domain.run import RunGauge

_KEPT = 360  # half an hour of samples every 5 s


class GaugeBook:
    """A ring of samples per node, and the latest of each run."""

    def __init__(self) -> None:
        self._nodes: dict[NodeId, deque[Gauges]] = {}
        self._runs: dict[NodeId, dict[RunId, RunGauge]] = {}

    def note_runs(self, node: NodeId, gauges: Iterable[RunGauge]) -> None:
        self._runs[node] = {gauge.run: gauge for gauge in gauges}

    def note_node(self, node: NodeId, gauges: Gauges) -> None:
        ring = self._nodes.setdefault(node, deque(maxlen=_KEPT))
        if not ring or ring[-1].time != gauges.time:
            ring.append(gauges)

    def history(self, node: NodeId) -> list[Gauges]:
        return list(self._nodes.get(node, ()))

    def run(self, node: NodeId, run: RunId) -> RunGauge | None:
        return self._runs.get(node, {}).get(run)
