"""Seeded faults: nodes that vanish and come back, nodes that become slow for a while."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trainmaster.domain.chance import uniform
from trainmaster.domain.cluster import Node
from trainmaster.domain.events import NodeJoined, NodeVanished
from trainmaster.domain.ids import NodeId
from trainmaster.simulator.errors import BadSetting


@dataclass(frozen=True, slots=True)
class Straggler:
    """From now on a node works at `pace` times its own speed. The scheduler is not told."""

    node: NodeId
    pace: float


Fault = NodeJoined | NodeVanished | Straggler


@dataclass(frozen=True, slots=True)
class Faults:
    """How often things go wrong; every time is exponentially distributed around the mean given, in seconds.

    `lost_every_s`: between two losses of one node, `back_after_s`: until it joins again, empty.
    `slow_every_s`, `slow_for_s`: the same for stragglers, which work at `pace`. 0: never.
    """

    lost_every_s: float = 0.0
    back_after_s: float = 600.0
    slow_every_s: float = 0.0
    slow_for_s: float = 600.0
    pace: float = 0.5

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not 0 <= getattr(self, name) < math.inf:
                raise BadSetting(name, getattr(self, name), "0 or more")
        if not 0 < self.pace <= 1:
            raise BadSetting("pace", self.pace, "above 0 and at most 1")

    def over(self, nodes: Sequence[Node], seed: int) -> Iterator[tuple[float, Fault]]:
        """Without end, in order of time. Ties: by node, losses first."""
        heap: list[tuple[float, int, int, int]] = []  # time, node, kind (0 lost, 1 slow), count

        def plan(after: float, node: int, kind: int, count: int) -> None:
            often, lasts = ((self.lost_every_s, self.back_after_s), (self.slow_every_s, self.slow_for_s))[
                kind
            ]
            mean = lasts if count % 2 else often
            if often:
                gap = -mean * math.log(1 - uniform(seed, node, kind, count))
                heapq.heappush(heap, (after + gap, node, kind, count))

        for number in range(len(nodes)):
            plan(0.0, number, 0, 0)
            plan(0.0, number, 1, 0)
        while heap:
            time, number, kind, count = heapq.heappop(heap)
            node, begins = nodes[number], count % 2 == 0
            if kind == 0:
                yield time, NodeVanished(node.id) if begins else NodeJoined(node)
            else:
                yield time, Straggler(node.id, self.pace if begins else 1.0)
            plan(time, number, kind, count + 1)
