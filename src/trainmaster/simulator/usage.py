"""What is there and what is held, integrated over time."""

from __future__ import annotations

from trainmaster.domain.cluster import Node
from trainmaster.domain.ids import NodeId
from trainmaster.domain.units import NOTHING, Resources


class Usage:
    """Seconds of nodes that are there, of nodes that hold at least one worker, and of amounts offered and
    held (cores in thousandths, bytes, GPUs, places in lanes: times seconds)."""

    def __init__(self) -> None:
        self.there_s = self.busy_s = 0.0
        self.offered_s = [0.0] * 4
        self.held_s = [0.0] * 4
        self._nodes: dict[NodeId, Node] = {}
        self._workers: dict[NodeId, int] = {}
        self._offered = self._held = NOTHING
        self._at = 0.0

    def join(self, node: Node, now: float) -> None:
        self.until(now)
        self.leave(node.id, now)
        self._nodes[node.id] = node
        self._offered += node.capacity

    def leave(self, node: NodeId, now: float) -> None:
        self.until(now)
        gone = self._nodes.pop(node, None)
        if gone is not None:
            self._offered -= gone.capacity

    def take(self, node: NodeId, need: Resources, now: float) -> None:
        """One worker begins to hold `need`."""
        self.until(now)
        self._held += need
        self._workers[node] = self._workers.get(node, 0) + 1

    def give_back(self, node: NodeId, need: Resources, now: float) -> None:
        self.until(now)
        self._held -= need
        left = self._workers[node] - 1
        if left:
            self._workers[node] = left
        else:
            del self._workers[node]

    def until(self, now: float) -> None:
        """Integrate up to `now`."""
        seconds = now - self._at
        if seconds <= 0:
            return
        self._at = now
        self.there_s += seconds * len(self._nodes)
        self.busy_s += seconds * len(self._workers)
        for at, name in enumerate(("cpu_m", "memory", "gpus", "lanes")):
            self.offered_s[at] += seconds * getattr(self._offered, name)
            self.held_s[at] += seconds * getattr(self._held, name)

    @property
    def utilisation(self) -> float:
        """The largest of the shares of cores, memory and GPUs that were held, 0..1."""
        pairs = zip(self.held_s[:3], self.offered_s[:3], strict=True)
        return max((held / offered for held, offered in pairs if offered), default=0.0)
