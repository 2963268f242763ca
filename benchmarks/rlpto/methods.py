"""Who is compared in the experiments of the RLPTO paper, and one run of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from trainmaster.policies.allotment.dolphin import Dolphin
from trainmaster.policies.allotment.fair import Fair
from trainmaster.policies.allotment.fcfs import FcfsAllotment
from trainmaster.policies.allotment.marginal_goodput import MarginalGoodput
from trainmaster.policies.allotment.residual_ppo import ResidualPpo
from trainmaster.policies.allotment.rlpto import Rlpto
from trainmaster.policies.allotment.slaq import Slaq
from trainmaster.policies.allotment.tradl import Tradl
from trainmaster.policies.base import Allotment
from trainmaster.rl.experiment import CYCLE_S, Run, run
from trainmaster.simulator.workload.images import (
    PAPER,
    Cluster,
    World,
    images,
    stop_at,
    stop_at_target,
)

BETAS = (0.00005, 0.0001, 0.0002, 0.0003, 0.0005, 0.001)
# TRADL's first target: with it the twelve tasks take 5,377 s, the mean of 20 calibration seeds (none is a
# table's); Table II has 5,388. No target gives both the paper's time and its accuracy; see `sensitivity`.
TARGET = 0.8775
CALIBRATION = range(3_000_000, 3_000_020)
BASELINES = ("FS", "FCFS", "SLAQ", "Dolphin", "TRADL")
RLPTO, MARGINAL, RESIDUAL = "RLPTO", "marginal_goodput", "residual_ppo"
OURS = (MARGINAL, RESIDUAL)
_USUAL = 1e-4  # β of a policy whose tasks do not stop by one


@dataclass(frozen=True, slots=True)
class Method:
    """`beta`: tasks end by stop(β); None: after the specified number of epochs, TRADL's at `target`, if they
    reach it before. `free`: as many tasks train at once as the policy starts, not one per server.
    `queues`: served by RLPTO's priority queues, else as submitted. `world`: how the tasks learn."""

    policy: str
    beta: float | None = None
    free: bool = False
    queues: bool = False
    target: float = TARGET
    world: World = PAPER

    @property
    def name(self) -> str:
        words = self.policy + (" free" if self.free else "")
        return words if self.beta is None else f"{words} β={self.beta:g}"

    def allotment(self) -> Allotment:
        beta = _USUAL if self.beta is None else self.beta
        make: dict[str, Callable[[], Allotment]] = {
            "FS": Fair,
            "FCFS": FcfsAllotment,
            "SLAQ": lambda: Slaq(epoch_s=CYCLE_S),
            "Dolphin": Dolphin,
            "TRADL": lambda: Tradl(target=self.target),
            RLPTO: lambda: Rlpto(beta=beta),
            MARGINAL: MarginalGoodput,
            RESIDUAL: lambda: ResidualPpo(beta=beta),
        }
        return make[self.policy]()

    def run(self, cluster: Cluster, seed: int, levels: Sequence[int] | None = None) -> Run:
        """Twelve tasks of this seed; with `levels` in the order and with the priorities of Table V."""
        return self.run_with(self.allotment(), cluster, seed, levels)

    def run_with(
        self, policy: Allotment, cluster: Cluster, seed: int, levels: Sequence[int] | None = None
    ) -> Run:
        """As `run`, with this policy object."""
        stop = stop_at(self.beta) if self.beta is not None else None
        at_most = self.world.epochs if stop is None else None
        if self.policy == "TRADL" and stop is None:
            stop = stop_at_target(self.target)
        arrivals = images(
            cluster, seed, stop, self.world, priorities=levels, shuffled=levels is None, at_most=at_most
        )
        servers = None if self.free else cluster.servers
        ordering = "multi_queue" if self.queues else "fcfs"
        preemption = "newest_first" if self.queues else "none"
        return run(policy, cluster, arrivals, servers, ordering, preemption, seed)


def with_stops(method: Method) -> list[Method]:
    return [replace(method, beta=beta) for beta in BETAS]


def within(world: World, methods: Sequence[Method]) -> list[Method]:
    return [replace(method, world=world) for method in methods]


# The paper's methods train one task per server. `free` shows what that alone costs them.
FREE = ("FS", RLPTO, *OURS)
TABLE = [
    *with_stops(Method(RLPTO)),
    *(Method(name) for name in BASELINES),
    *(m for name in (*BASELINES, *OURS) for m in with_stops(Method(name))),
    *(m for name in FREE for m in with_stops(Method(name, free=True))),
]


def of_rewards(beta: float) -> list[Method]:
    """Of the priority experiment; RLPTO and ours served by its queues, the others as submitted."""
    return [
        Method(RLPTO, beta, queues=True),
        *(Method(name) for name in BASELINES),
        *(Method(name, beta) for name in BASELINES),
        *(Method(name, beta, queues=True) for name in OURS),
        Method("FS", beta, free=True),
        *(Method(name, beta, free=True, queues=True) for name in (RLPTO, *OURS)),
    ]
