"""The RLPTO paper's experiment: twelve image classifiers on data of three sizes.

The paper publishes no curves. `PAPER` is calibrated to five of its figures, all of methods that are *not*
RLPTO's allotment: the times of FS and FCFS in Table II give seconds per epoch and the serial share; the
accuracies of FS and FCFS in Tables II and III give what a worker costs in accuracy (0.29 points over the data
of 40,000; the same part of the data per worker costs the same); the accuracies over β give the curve's power
and scale, since an increase of β per epoch marks a point of it. Everything else that comes out is predicted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainmaster.domain.cluster import Node
from trainmaster.domain.ids import NodeId
from trainmaster.domain.task import TaskSpec, Urgency
from trainmaster.domain.units import Resources
from trainmaster.policies.convergence import settled
from trainmaster.simulator.convergence import AccuracyCurve, Converging, Stop
from trainmaster.simulator.loop import Arrival
from trainmaster.simulator.speed import Usl

SIZES: dict[str, float] = {"big": 3.0, "medium": 1.5, "small": 1.0}  # of 40,000 images
UNIT = 40_000
TWELVE: tuple[str, ...] = ("big",) * 4 + ("medium",) * 4 + ("small",) * 4  # as Table V lists them
WINDOW = 5  # epochs over which stop(β) takes the mean increase


@dataclass(frozen=True, slots=True)
class World:
    """What all twelve have in common. `epoch_s`: of 40,000 images on one node. `shard`: accuracy each further
    worker costs on 40,000 images; `slowness`: the other form of that cost (`AccuracyCurve`). `spread`:
    relative standard deviation of speed and scale between tasks; `ceiling_sd`: of the ceiling; `noise`: of a
    reported accuracy. `epochs`: "the specified number of iterations"; `at_most`: epochs of a task that a rule
    stops."""

    epoch_s: float = 49.0
    serial: float = 0.1
    ceiling: float = 0.8822
    shard: float = 0.0029
    slowness: float = 0.0
    scale: float = 0.0625
    power: float = 1.0
    spread: float = 0.05
    ceiling_sd: float = 0.002
    noise: float = 5e-5
    epochs: int = 70
    at_most: int = 400


PAPER = World()


@dataclass(frozen=True, slots=True)
class Cluster:
    """`nodes` of one worker each in `servers` clusters, each of which trains one task at a time. `pace`: the
    nodes' speed; the paper's are containers on one machine of six cores, so sixteen are slower."""

    nodes: int
    servers: int
    pace: float = 1.0

    def members(self) -> list[Node]:
        return [Node(NodeId(f"n{i:02d}"), Resources(gpus=1)) for i in range(self.nodes)]


TWELVE_NODES, SIXTEEN_NODES = Cluster(12, 3), Cluster(16, 4, 0.8)


def stop_at(beta: float, window: int = WINDOW) -> Stop:
    """stop(β): training ends once its accuracy has settled to within β per epoch."""
    return lambda accuracies: settled(accuracies, beta, window)


def stop_at_target(target: float) -> Stop:
    """TRADL's first tier: the model is handed over."""
    return lambda accuracies: accuracies[-1] >= target


def images(
    cluster: Cluster,
    seed: int,
    stop: Stop | None = None,
    world: World = PAPER,
    kinds: Sequence[str] = TWELVE,
    priorities: Sequence[int] | None = None,
    shuffled: bool = True,
    at_most: int | None = None,
) -> list[Arrival]:
    """The tasks, all submitted at 0, in a random order (or, with `shuffled` False, as listed).

    `priorities`: as in Table V, 1 to 3 normal, 4 the highest, 5 urgent. `at_most`: epochs of each; None: the
    world's, with or without a stop. The same seed draws the same tasks whatever the stop and `at_most`.
    """
    if at_most is None:
        at_most = world.epochs if stop is None else world.at_most
    chance = np.random.default_rng(seed)
    arrivals = []
    for at, kind in enumerate(kinds):
        size = SIZES[kind]
        draw = chance.normal(size=3)
        noise = chance.normal(0.0, world.noise, world.at_most) if world.noise else ()
        curve = AccuracyCurve(
            min(world.ceiling + world.ceiling_sd * float(draw[0]), 1.0),
            world.scale * float(np.exp(world.spread * draw[1])),
            world.power,
            world.shard / size,
            world.slowness,
        )
        seconds = world.epoch_s * size * float(np.exp(world.spread * draw[2])) / cluster.pace
        training = Converging(
            curve, Usl(world.serial), seconds, at_most, stop, tuple(noise), int(UNIT * size)
        )  # fmt: skip
        level = priorities[at] if priorities is not None else 1
        spec = TaskSpec(
            f"{kind}-{at + 1}", command=("train",), resources=Resources(gpus=1), max_workers=cluster.nodes,
            urgency=URGENCY.get(level, Urgency.NORMAL), priority=float(level if level < 4 else 0),
        )  # fmt: skip
        arrivals.append(Arrival(0.0, spec, training))
    if shuffled:
        arrivals = [arrivals[at] for at in chance.permutation(len(arrivals))]
    return arrivals


URGENCY = {4: Urgency.HIGHEST, 5: Urgency.URGENT}
