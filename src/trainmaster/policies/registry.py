"""Every policy by name, and the profiles that combine them. Adding a policy is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from trainmaster.domain.errors import UnknownPolicy, UnknownProfile
from trainmaster.policies.allotment.afs import Afs
from trainmaster.policies.allotment.dolphin import Dolphin
from trainmaster.policies.allotment.drf import Drf
from trainmaster.policies.allotment.fair import Fair
from trainmaster.policies.allotment.fcfs import FcfsAllotment
from trainmaster.policies.allotment.fixed import Fixed
from trainmaster.policies.allotment.marginal_goodput import MarginalGoodput
from trainmaster.policies.allotment.optimus import Optimus
from trainmaster.policies.allotment.pollux import Pollux
from trainmaster.policies.allotment.residual_ppo import ResidualPpo
from trainmaster.policies.allotment.rlpto import Rlpto
from trainmaster.policies.allotment.slaq import Slaq
from trainmaster.policies.allotment.tiresias import Tiresias
from trainmaster.policies.allotment.tradl import Tradl
from trainmaster.policies.allotment.weighted_delay import WeightedDelay
from trainmaster.policies.base import Allotment, Ordering, Placement, Preemption
from trainmaster.policies.learned import TaskNetwork
from trainmaster.policies.ordering.aloha import Aloha
from trainmaster.policies.ordering.backfill import Backfill
from trainmaster.policies.ordering.dm import Dm
from trainmaster.policies.ordering.edf import Edf
from trainmaster.policies.ordering.fcfs import Fcfs
from trainmaster.policies.ordering.greedy import Greedy
from trainmaster.policies.ordering.las import Las
from trainmaster.policies.ordering.multi_queue import MultiQueue
from trainmaster.policies.ordering.plan import PlanOrder
from trainmaster.policies.ordering.priority import Priority
from trainmaster.policies.ordering.rm import Rm
from trainmaster.policies.ordering.round_robin import RoundRobinOrder
from trainmaster.policies.ordering.sjf import Sjf
from trainmaster.policies.ordering.srtf import Srtf
from trainmaster.policies.placement.binpack import Binpack
from trainmaster.policies.placement.consolidate import Consolidate
from trainmaster.policies.placement.delay import Delay
from trainmaster.policies.placement.least_loaded import LeastLoaded
from trainmaster.policies.placement.performance_index import PerformanceIndex
from trainmaster.policies.placement.plan import PlanPlacement
from trainmaster.policies.placement.random import Random
from trainmaster.policies.placement.round_robin import RoundRobin
from trainmaster.policies.preemption import LowestPriority, NewestFirst, NoPreemption

ORDERINGS: dict[str, Callable[[], Ordering]] = {
    "fcfs": Fcfs,
    "priority": Priority,
    "multi_queue": MultiQueue,
    "sjf": Sjf,
    "backfill": Backfill,
    "plan": PlanOrder,
    "edf": Edf,
    "rm": Rm,
    "dm": Dm,
    "round_robin": RoundRobinOrder,
    "las": Las,
    "srtf": Srtf,
    "greedy": Greedy,
    "aloha": Aloha,
}
TRAINED: dict[str, Callable[..., Allotment]] = {"rlpto": Rlpto, "residual_ppo": ResidualPpo}
NO_NETWORKS: Mapping[str, TaskNetwork] = {}
ALLOTMENTS: dict[str, Callable[[], Allotment]] = {
    "fixed": Fixed,
    "fair": Fair,
    "fcfs": FcfsAllotment,
    "drf": Drf,
    "slaq": Slaq,
    "optimus": Optimus,
    "dolphin": Dolphin,
    "tradl": Tradl,
    "weighted_delay": WeightedDelay,
    "tiresias": Tiresias,
    "afs": Afs,
    "pollux": Pollux,
    "marginal_goodput": MarginalGoodput,
    **TRAINED,
}
PLACEMENTS: dict[str, Callable[[], Placement]] = {
    "random": Random,
    "round_robin": RoundRobin,
    "least_loaded": LeastLoaded,
    "performance_index": PerformanceIndex,
    "binpack": Binpack,
    "plan": PlanPlacement,
    "consolidate": Consolidate,
    "delay": Delay,
}
PREEMPTIONS: dict[str, Callable[[], Preemption]] = {
    "none": NoPreemption,
    "newest_first": NewestFirst,
    "lowest_priority": LowestPriority,
}


@dataclass(frozen=True, slots=True)
class Profile:
    """A named set of policies, switchable while the service runs."""

    name: str
    ordering: str
    allotment: str
    placement: str
    preemption: str
    summary: str = ""


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            "default", "multi_queue", "fair", "least_loaded", "newest_first",
            "three priority queues, even shares, the least loaded node; the most urgent may interrupt",
        ),
        Profile(
            "dtes", "priority", "fixed", "least_loaded", "none",
            "as the DTES paper: by priority to the node under the least pressure",
        ),
        Profile(
            "rlpto", "multi_queue", "rlpto", "least_loaded", "newest_first",
            "as the RLPTO paper: priority queues, and workers by a trained agent as training converges",
        ),
        Profile(
            "planned", "plan", "fixed", "plan", "none",
            "follow static plans: the planned node, in the order of planned starts",
        ),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Policies:
    """A profile with its policy objects."""

    profile: Profile
    ordering: Ordering
    allotment: Allotment
    placement: Placement
    preemption: Preemption


T = TypeVar("T")


def _make(kind: str, table: Mapping[str, Callable[[], T]], name: str) -> T:
    if name not in table:
        raise UnknownPolicy(
            f"there is no {kind} policy {name!r}", remedy=f"choose one of {', '.join(table)}", name=name
        )
    return table[name]()


def build(profile: Profile, networks: Mapping[str, TaskNetwork] = NO_NETWORKS) -> Policies:
    """`networks`: by name of a trained policy what it shall use instead of the shipped weights. Raises
    UnknownPolicy for a name that is not registered."""
    allotments: dict[str, Callable[[], Allotment]] = dict(ALLOTMENTS)
    if network := networks.get(profile.allotment):
        allotments[profile.allotment] = partial(TRAINED[profile.allotment], network=network)
    return Policies(
        profile,
        _make("ordering", ORDERINGS, profile.ordering),
        _make("allotment", allotments, profile.allotment),
        _make("placement", PLACEMENTS, profile.placement),
        _make("preemption", PREEMPTIONS, profile.preemption),
    )


def named(
    name: str, profiles: Mapping[str, Profile] = PROFILES, networks: Mapping[str, TaskNetwork] = NO_NETWORKS
) -> Policies:
    """Raises UnknownProfile."""
    if name not in profiles:
        raise UnknownProfile(
            f"there is no profile {name!r}", remedy=f"choose one of {', '.join(profiles)}", name=name
        )
    return build(profiles[name], networks)
