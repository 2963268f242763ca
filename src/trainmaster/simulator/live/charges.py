"""What a worker's doings cost it in virtual time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from trainmaster.domain.ids import NodeId
from trainmaster.domain.run import RunSpec
from trainmaster.simulator.errors import BadSetting
from trainmaster.simulator.speed import Speed


@dataclass(frozen=True, slots=True)
class Charge:
    """Seconds of one worker on one node, as the simulator's model has them (`world.Costs`).

    `sample_s`: of one sample with one worker on a node of pace 1. With w workers the group's speed is
    `speed.rate(w)`, of which each has its part. An epoch of few samples stands for a long one if `sample_s`
    is large. `start_s`: from the launch to the first word of its training code; `regroup_s`: of a change of
    its group. `pace`: the node's.
    """

    speed: Speed
    sample_s: float
    start_s: float = 0.0
    regroup_s: float = 0.0
    pace: float = 1.0

    def __post_init__(self) -> None:
        for name in ("sample_s", "start_s", "regroup_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise BadSetting(name, getattr(self, name), "0 or more seconds")
        if not 0 < self.pace < math.inf:
            raise BadSetting("pace", self.pace, "a positive number")

    def work_s(self, samples: int, workers: int) -> float:
        """Of `samples` by one of `workers`: each has its part of the group's speed."""
        return samples * workers * self.sample_s / (self.speed.rate(workers) * self.pace)


Charges = Callable[[NodeId, RunSpec], Charge]
