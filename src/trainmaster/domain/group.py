"""Elastic groups: the numbered memberships of one attempt (docs/adr/0007)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from trainmaster.domain.replacing import replacer


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """What the workers are told: who trains from here on. The first member leads; `store` is its address."""

    generation: int
    members: tuple[int, ...]
    store: str

    def to_json(self) -> str:
        return json.dumps(
            {"generation": self.generation, "members": self.members, "store": self.store},
            separators=(",", ":"),
        )


@dataclass(frozen=True, slots=True)
class Group:
    """The workers of an attempt that form a process group. They are named by their rank in the attempt.

    `generation`, `members`: of the latest plan, 0 and empty before the first one. `joined`: those who said
    that they train in it. `stores`: the address each worker said it can be reached at, which also says that
    it is ready. `leaving`: those the next plan shall not have. `broken`: who said that this generation
    failed. `planned_at`: when the latest plan was made. `failures`: workers and generations that failed in a
    row. `next_rank`: of the next worker to be started; a rank is used once. `fresh`: members that have never
    joined a generation, and so have nothing of the training.
    """

    generation: int = 0
    members: tuple[int, ...] = ()
    joined: frozenset[int] = frozenset()
    stores: tuple[tuple[int, str], ...] = ()
    leaving: frozenset[int] = frozenset()
    broken: frozenset[int] = frozenset()
    planned_at: float = 0.0
    failures: int = 0
    next_rank: int = 0
    fresh: frozenset[int] = frozenset()

    @property
    def settled(self) -> bool:
        """Everybody trains in the latest generation."""
        return bool(self.members) and self.joined.issuperset(self.members) and not self.broken

    @property
    def plan(self) -> GroupPlan:
        leader = self.members[0]  # the most senior, so it is among the first
        store = next((store for rank, store in self.stores if rank == leader), "")
        return GroupPlan(self.generation, self.members, store)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "generation": self.generation,
            "members": self.members,
            "joined": sorted(self.joined),
            "stores": self.stores,
            "leaving": sorted(self.leaving),
            "broken": sorted(self.broken),
            "planned_at": self.planned_at,
            "failures": self.failures,
            "next_rank": self.next_rank,
            "fresh": sorted(self.fresh),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Group:
        """Inverse of `to_dict`."""
        return cls(
            generation=data["generation"],
            members=tuple(data["members"]),
            joined=frozenset(data["joined"]),
            stores=tuple((rank, address) for rank, address in data["stores"]),
            leaving=frozenset(data["leaving"]),
            broken=frozenset(data["broken"]),
            planned_at=data["planned_at"],
            failures=data["failures"],
            next_rank=data["next_rank"],
            fresh=frozenset(data.get("fresh", ())),
        )


regrouped = replacer(Group)
