"""This machine, divided into logical nodes."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil

from trainmaster.bootstrap.config import BadConfig, Config
from trainmaster.domain.cluster import Node
from trainmaster.domain.ids import NodeId
from trainmaster.domain.units import Resources

LANE_BACKLOG = 128  # function tasks waiting in each lane, so that it never starves between polls


@dataclass(frozen=True, slots=True)
class Slice:
    """One logical node: what it offers, the cores it may use, how many cores' worth is its own, its GPUs."""

    node: Node
    cpus: tuple[int, ...] | None
    share: float
    devices: tuple[int, ...]


def divide(config: Config, gpus: int, containers: bool) -> list[Slice]:
    """Logical nodes by the configured shares. GPUs are dealt out whole, first come first served.

    A node that comes out at whole cores owns them; fractions share cores with their neighbours.
    Raises BadConfig if the shares do not match the number of nodes.
    """
    shares = config.shares or [1.0] * config.nodes
    if len(shares) != config.nodes and config.nodes != 1:
        raise BadConfig(
            f"{config.nodes} nodes but {len(shares)} shares", remedy="give one share per node, or none",
            field="shares",
        )  # fmt: skip
    if any(share <= 0 for share in shares):
        raise BadConfig("shares must be positive", remedy="leave the node out instead", field="shares")
    usable = sorted(os.sched_getaffinity(0))
    cores = config.cores or float(len(usable))
    memory = int(psutil.virtual_memory().total * config.memory_share)
    total = sum(shares)
    slices, first = [], 0.0
    for number, share in enumerate(shares, 1):
        part = share / total
        amount = cores * part
        mine = range(int(first), max(int(first) + 1, int(first + amount - 1e-9) + 1))
        cpus = tuple(usable[core % len(usable)] for core in mine)
        devices = tuple(range(gpus * (number - 1) // len(shares), gpus * number // len(shares)))
        capacity = Resources(
            cpu_m=round(amount * 1000),
            memory=int(memory * part),
            gpus=len(devices),
            lanes=config.lanes * LANE_BACKLOG,
        )
        node = Node(NodeId(f"node-{number}"), capacity, containers=containers)
        slices.append(Slice(node, cpus if len(cpus) < len(usable) else None, amount, devices))
        first += amount
    return slices
