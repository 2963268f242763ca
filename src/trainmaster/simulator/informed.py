"""Telling a policy what was profiled beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from trainmaster.domain.ids import TaskId
from trainmaster.policies.base import Allotment, AllotmentView, Claim
from trainmaster.simulator.training import Training


class Informed:
    """An allotment policy whose claims carry what the trainings know of themselves.

    The one way by which truth reaches a policy in a simulation; a policy that does not look at `Claim.known`
    is not changed by it, but for bounds: more workers than a task has known rates for are not offered.
    """

    def __init__(self, policy: Allotment, training: Callable[[TaskId], Training | None]) -> None:
        self._policy, self._training = policy, training

    @property
    def name(self) -> str:
        return self._policy.name

    @property
    def suspends(self) -> bool:
        return self._policy.suspends

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        return self._policy.allot(replace(view, claims=[self._inform(claim) for claim in view.claims]))

    def _inform(self, claim: Claim) -> Claim:
        training = self._training(claim.task.id)
        known = training.known(claim.task.spec.max_workers) if training else None
        return claim if known is None else replace(claim, known=known)
