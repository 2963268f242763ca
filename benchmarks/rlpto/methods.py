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
from trainmaster.simulator.workload.images import Cluster, images, stop_at, stop_at_target

BETAS = (0.00005, 0.0001, 0.0002, 0.0003, 0.0005, 0.001)
TARGET = 0.8715  # of TRADL, chosen so that it ends well before FS, as in the paper
BASELINES = ("FS", "FCFS", "SLAQ", "Dolphin", "TRADL")
RLPTO, MARGINAL, RESIDUAL = "RLPTO", "marginal_goodput", "residual_ppo"
OURS = (MARGINAL, RESIDUAL)

_MAKE: dict[str, Callable[[float], Allotment]] = {
    "FS": lambda beta: Fair(),
    "FCFS": lambda beta: FcfsAllotment(),
    "SLAQ": lambda beta: Slaq(epoch_s=CYCLE_S),
    "Dolphin": lambda beta: Dolphin(),
    "TRADL": lambda beta: Tradl(target=TARGET),
    RLPTO: lambda beta: Rlpto(beta=beta),
    MARGINAL: lambda beta: MarginalGoodput(),
    RESIDUAL: lambda beta: ResidualPpo(beta=beta),
}


@dataclass(frozen=True, slots=True)
class Method:
    """`beta`: tasks end by stop(β); None: after the specified number of epochs (TRADL: at its target, too).
    `free`: as many tasks train at once as the policy starts, not one per server. `queues`: served by RLPTO's
    priority queues, else as submitted."""

    policy: str
    beta: float | None = None
    free: bool = False
    queues: bool = False

    @property
    def name(self) -> str:
        words = self.policy + (" free" if self.free else "")
        return words if self.beta is None else f"{words} β={self.beta:g}"

    def run(self, cluster: Cluster, seed: int, levels: Sequence[int] | None = None) -> Run:
        """Twelve tasks of this seed; with `levels` in the order and with the priorities of Table V."""
        stop = stop_at(self.beta) if self.beta is not None else None
        if self.policy == "TRADL":
            rule = stop_at_target(TARGET)
            stop = rule if stop is None else _either(stop, rule)
        arrivals = images(cluster, seed, stop, priorities=levels, shuffled=levels is None)
        policy = _MAKE[self.policy](self.beta if self.beta is not None else 1e-4)
        servers = None if self.free else cluster.servers
        ordering = "multi_queue" if self.queues else "fcfs"
        return run(
            policy, cluster, arrivals, servers, ordering, "newest_first" if self.queues else "none", seed
        )


def _either(first: Callable[..., bool], second: Callable[..., bool]) -> Callable[[Sequence[float]], bool]:
    return lambda values: first(values) or second(values)


def with_stops(method: Method) -> list[Method]:
    return [replace(method, beta=beta) for beta in BETAS]


PUBLISHED = [Method(name) for name in BASELINES]
RLPTOS = with_stops(Method(RLPTO))
# The paper's methods train one task per server. `free` shows what that alone costs them.
MAIN = [*RLPTOS, *(m for name in OURS for m in with_stops(Method(name, free=True)))]
BESIDE = [
    *PUBLISHED,
    *(m for name in ("FS", "FCFS", "SLAQ", "Dolphin", *OURS) for m in with_stops(Method(name))),
    *(m for name in ("FS", RLPTO) for m in with_stops(Method(name, free=True))),
]
