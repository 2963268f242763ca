"""Ours: `marginal_goodput`, corrected by a trained network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trainmaster.domain.ids import TaskId
from trainmaster.policies.allotment.budget import Budget
from trainmaster.policies.allotment.marginal_goodput import MarginalGoodput, Value, grow
from trainmaster.policies.base import AllotmentView, Claim
from trainmaster.policies.convergence import accuracies, check_beta, gain_per_epoch, tends_to_converge
from trainmaster.policies.learned import TaskNetwork, shipped

if TYPE_CHECKING:
    import numpy as np

FEATURES = (
    "waits", "epochs", "accuracy", "gain", "epoch", "share", "ran", "urgency", "priority", "waiting",
    "running",
)  # fmt: skip
OUTPUTS = 2  # correction of the weight, and what a further worker costs
_WINDOW = 5  # epochs over which the gain is taken
_FARTHEST = 2.5  # |log| of the correction of a weight
_PRICE, _DEAREST = 0.5, 1.0  # of a further worker, in log(speed): unit and most


@dataclass(frozen=True, slots=True)
class ResidualPpo:
    """The network looks at every claim and says two things of it; greedy growth does the rest.

    1. Its weight is multiplied by e^(first output), within e^±2.5.
    2. Every worker beyond the first costs it 0.5 · max(second output, 0) of log(speed), at most 1:
       training that is spread over more workers may reach less, so the last may not be worth their speed.

    With `beta`, who tends to converge (gained less than `lead` · β per epoch) keeps its minimum: RLPTO's
    reduction, at once. Without, nobody is reduced but by the network. With a network of zeros and no β it
    decides exactly as `base`; the greedy never gives what there is not, so there are no invalid actions.
    `network`: None for what is shipped. Ties: as `base`.
    """

    network: TaskNetwork | None = None
    beta: float | None = None
    lead: float = 8.0
    base: MarginalGoodput = field(default_factory=MarginalGoodput)
    name: str = "residual_ppo"
    suspends: bool = False

    def __post_init__(self) -> None:
        if self.beta is not None:
            check_beta(self.beta)

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        if not view.claims:
            return {}
        network = self.network or shipped(self.name, FEATURES, OUTPUTS)
        return self.corrected(view, network(features_of(view))[0])

    def corrected(self, view: AllotmentView, each: np.ndarray) -> Mapping[TaskId, int]:
        """The allotment with these outputs, (claims, 2)."""
        budget, weights = Budget(view), {}
        prices: dict[TaskId, float] = {}
        for claim, (first, second) in zip(view.claims, each.tolist(), strict=True):
            factor = math.exp(min(max(first, -_FARTHEST), _FARTHEST))
            weights[claim.task.id] = self.base.weight(claim, view.now) * factor
            price = min(_PRICE * max(second, 0.0), _DEAREST)
            prices[claim.task.id] = math.inf if self._converges(claim) else price
        served = budget.give_least(view.claims)
        values = [self._value(claim, view.now, prices[claim.task.id]) for claim in served]
        grow(budget, served, values, weights, self.base.look_ahead)
        return budget.given

    def _converges(self, claim: Claim) -> bool:
        return self.beta is not None and tends_to_converge(claim.learned, self.lead * self.beta, _WINDOW)

    def _value(self, claim: Claim, now: float, price: float) -> Value:
        value = self.base.value(claim, now)
        if not price:
            return value
        if price == math.inf:
            return value._replace(logs=value.logs[: claim.least])
        return value._replace(logs=tuple(each - price * more for more, each in enumerate(value.logs)))


def features_of(view: AllotmentView) -> np.ndarray:
    """One row per claim, each number about 0..1: whether it waits; log(1 + epochs)/5; accuracy; its gain per
    epoch as (log10 + 5)/4, 1 if unknown; worker-seconds of an epoch as log(1 + ·)/10, 0 if unknown; its share
    of all workers; log(1 + minutes run)/5; urgency/2; priority/4; how many wait and run, by 12."""
    import numpy as np

    running = sum(claim.workers > 0 for claim in view.claims)
    size = max(sum(node.capacity.gpus or 1 for node in view.nodes), 1)
    rows = []
    for claim in view.claims:
        values = accuracies(claim.learned)
        gain = gain_per_epoch(values, _WINDOW)
        scaled = 1.0 if gain is None else (math.log10(max(gain, 1e-5)) + 5) / 4
        rows.append(
            (
                float(claim.workers == 0),
                math.log1p(len(values)) / 5,
                values[-1] if values else 0.0,
                scaled,
                math.log1p(_epoch_s(claim)) / 10,
                claim.workers / size,
                math.log1p(claim.task.running_s(view.now) / 60) / 5,
                int(claim.task.urgency) / 2,
                min(max(claim.task.priority, 0.0), 10.0) / 4,
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
