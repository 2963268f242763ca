"""Ours: crews by what tasks gain and are worth, corrected by a trained network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trainmaster.domain.ids import TaskId
from trainmaster.policies.allotment.budget import Budget
from trainmaster.policies.allotment.crews import Crews, worth
from trainmaster.policies.allotment.marginal_goodput import MarginalGoodput, Value, grow
from trainmaster.policies.base import AllotmentView, Claim
from trainmaster.policies.convergence import accuracies, check_beta, gain_per_epoch
from trainmaster.policies.learned import TaskNetwork, shipped

if TYPE_CHECKING:
    import numpy as np

FEATURES = (
    "waits", "epochs", "accuracy", "gain", "left", "epoch", "share", "ran", "worth", "waiting", "running",
)  # fmt: skip
OUTPUTS = 3  # corrections of a task's weight, of its crew and of the gain that earns it a worker
_WINDOW = 5  # epochs over which the gain is taken
_FARTHEST = (2.5, 1.0, 1.0)  # |log| of each correction


@dataclass(frozen=True, slots=True)
class ResidualPpo:
    """Who trains, with how many workers at most, is said by `Crews`; who gets how many by greedy growth.

    1. Running tasks keep their minimum, then what their crew allows, up to the usual crew.
    2. Waiting ones start in their order with their crew, or with what is free of it if that is the usual
       crew at least; else they and all behind them wait.
    3. What is left goes to the largest weighted marginal gain in speed, within the crews' sizes, as `base`
       gives it out.

    The network looks at every claim and corrects its weight (within e^±2.5), its crew and the step by which
    gains earn workers (within e^±1). With a network of zeros nothing is corrected; what is given is within
    bounds and room whatever it says, so there are no invalid actions. `beta`: of the stop rule by which
    training ends. `network`: None for what is shipped. Ties: as `base`.
    """

    network: TaskNetwork | None = None
    beta: float = 1e-4
    base: MarginalGoodput = field(default_factory=MarginalGoodput)
    name: str = "residual_ppo"
    suspends: bool = False

    def __post_init__(self) -> None:
        check_beta(self.beta)

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        if not view.claims:
            return {}
        network = self.network or shipped(self.name, FEATURES, OUTPUTS)
        return self.corrected(view, network(features_of(view, self.beta))[0])

    def corrected(self, view: AllotmentView, each: np.ndarray) -> Mapping[TaskId, int]:
        """The allotment with these outputs, (claims, 3)."""
        crews, budget = Crews(self.beta), Budget(view)
        factors = [
            tuple(math.exp(min(max(x, -far), far)) for x, far in zip(row, _FARTHEST, strict=True))
            for row in each.tolist()
        ]
        found = crews.sizes(view.claims, [(crew, step) for _, crew, step in factors])
        sizes = {claim.task.id: size for claim, size in zip(view.claims, found, strict=True)}
        weights = {
            claim.task.id: self.base.weight(claim, view.now) * factor
            for claim, (factor, _, _) in zip(view.claims, factors, strict=True)
        }
        served = _crewed(view.claims, budget, sizes, crews.crew)
        values = [self._value(claim, view.now, sizes[claim.task.id]) for claim in served]
        grow(budget, served, values, weights, self.base.look_ahead)
        return budget.given

    def _value(self, claim: Claim, now: float, size: int) -> Value:
        value = self.base.value(claim, now)
        return value._replace(logs=value.logs[:size])


def _crewed(claims: Sequence[Claim], budget: Budget, sizes: Mapping[TaskId, int], usual: int) -> list[Claim]:
    """Steps 1 and 2; returns those that train."""
    running = [claim for claim in claims if claim.workers]
    for claim in running:
        if claim.movable:
            budget.give(claim, claim.least)
    for claim in running:
        if claim.movable:
            more = min(usual, sizes[claim.task.id]) - budget.given[claim.task.id]
            budget.give(claim, max(min(more, budget.spare(claim)), 0))
    for claim in claims:
        if not claim.workers:
            size = sizes[claim.task.id]
            count = min(size, budget.spare(claim))
            if count < max(min(size, usual), claim.least, 1):
                break
            budget.give(claim, count)
    return [claim for claim in claims if budget.given[claim.task.id]]


def features_of(view: AllotmentView, beta: float) -> np.ndarray:
    """One row per claim, each number about 0..1: whether it waits; log(1 + epochs)/5; accuracy; its gain per
    epoch as (log10 + 5)/4, 1 if unknown; log(gain/β)/4, at least 0, 1 if unknown: how far its end is;
    worker-seconds of an epoch as log(1 + ·)/10, 0 if unknown; its share of all workers; log(1 + minutes
    run)/5; log(worth / mean worth); how many wait and run, by 12."""
    import numpy as np

    running = sum(claim.workers > 0 for claim in view.claims)
    size = max(sum(node.capacity.gpus or 1 for node in view.nodes), 1)
    worths = [worth(claim.task) for claim in view.claims]
    mean = sum(worths) / max(len(worths), 1)
    rows = []
    for claim, value in zip(view.claims, worths, strict=True):
        values = accuracies(claim.learned)
        gain = gain_per_epoch(values, _WINDOW)
        scaled = 1.0 if gain is None else (math.log10(max(gain, 1e-5)) + 5) / 4
        left = 1.0 if gain is None else math.log(max(gain / beta, 1.0)) / 4
        rows.append(
            (
                float(claim.workers == 0),
                math.log1p(len(values)) / 5,
                values[-1] if values else 0.0,
                scaled,
                left,
                math.log1p(_epoch_s(claim)) / 10,
                claim.workers / size,
                math.log1p(claim.task.running_s(view.now) / 60) / 5,
                math.log(value / mean),
                (len(view.claims) - running) / 12,
                running / 12,
            )
        )
    return np.array(rows)


def _epoch_s(claim: Claim) -> float:
    """Worker-seconds of an epoch, by the latest two reports of different epochs; 0 if there are none."""
    points = [p for p in claim.learned.points if p.epoch is not None]
    if not points:
        return 0.0
    last = points[-1]
    for before in reversed(points):
        if before.epoch is not None and last.epoch is not None and before.epoch < last.epoch:
            return (last.time - before.time) / (last.epoch - before.epoch) * last.workers
    return 0.0
