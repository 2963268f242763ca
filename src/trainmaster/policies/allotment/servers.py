"""At most so many tasks at once, as a cluster of parameter servers trains them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from trainmaster.domain.ids import TaskId
from trainmaster.policies.base import Allotment, AllotmentView


@dataclass(frozen=True, slots=True)
class Servers:
    """Shows `policy` the running tasks and as many of the waiting ones, in their order, as servers are free.

    In the RLPTO paper nodes are divided into clusters with a parameter server each, and a server takes its
    next task when it has finished one (its algorithm, lines 17 to 24). The others wait.
    """

    policy: Allotment
    servers: int

    @property
    def name(self) -> str:
        return self.policy.name

    @property
    def suspends(self) -> bool:
        return self.policy.suspends

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        running = sum(claim.workers > 0 for claim in view.claims)
        shown = view.claims[: max(running, self.servers)]
        hidden = {claim.task.id: 0 for claim in view.claims[len(shown) :]}
        return {**self.policy.allot(replace(view, claims=shown)), **hidden}
