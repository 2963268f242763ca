"""RLPTO (Lu et al., TPDS 2023): who gains little gives workers up, and a trained agent hands them on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainmaster.domain.ids import TaskId
from trainmaster.policies.allotment.budget import Budget
from trainmaster.policies.base import AllotmentView, Claim
from trainmaster.policies.convergence import check_beta, tends_to_converge
from trainmaster.policies.learned import TaskNetwork, shipped

if TYPE_CHECKING:
    import numpy as np

FEATURES = ("m", "e", "l", "n", "a", "c", "w")
OUTPUTS = 2  # logits of one worker more and one less
Act = Callable[["np.ndarray", "np.ndarray"], int]


@dataclass(frozen=True, slots=True)
class Rlpto:
    """The paper's resource scheduling algorithm; one decision is one scheduling cycle.

    1. *Reduce* (lines 2, 25): a running task whose accuracy rose by less than `lead` · `beta` per epoch gives
       one worker up, unless it has its minimum.
    2. *Allocate* (line 22): a task that starts gets an even share of all workers, or what is free of it.
    3. *Act* (lines 4 to 7): while workers are free, the agent is shown s = (m, e, l, n, a, c, w) and says
       +1 or −1 for one task, or nothing, which ends the cycle.

    A task changes by at most one worker in a cycle (section VI.B). What cannot be done is masked: more
    without room or beyond a bound, less below the minimum, a second change, a task that cannot be moved,
    more for a task that tends to converge (its workers are for others, section VI.A).
    Who tended to converge once does so from then on: fewer workers may give accuracy a spurt.

    Where the paper is silent, ours: `lead`, since the listing tells tasks that *tend to* converge, which give
    workers up, from convergent ones, which end, but has one β; if that served for both, a task would end
    before it gave anything up. The share in 2; the order in 3 ends at "nothing"; the increase is the
    mean over `window` epochs, as a single difference fires on noise (1 gives the paper's); the agent acts
    whenever room is free, not only after a reduction, since else what an ended task leaves would lie idle;
    the network's form (`learned.TaskNetwork`). `network`: None for what is shipped. Ties: the first claim.
    """

    beta: float = 1e-4
    lead: float = 8.0
    window: int = 5
    network: TaskNetwork | None = None
    name: str = "rlpto"
    suspends: bool = False

    def __post_init__(self) -> None:
        check_beta(self.beta)

    @property
    def threshold(self) -> float:
        """A task that gains less per epoch gives workers up: β₀ of equation 5."""
        return self.lead * self.beta

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        network = self.network or shipped(self.name, FEATURES, OUTPUTS)
        return self.cycle(view, lambda state, mask: greedy(network, state, mask))

    def cycle(self, view: AllotmentView, act: Act) -> Mapping[TaskId, int]:
        """One scheduling cycle with the agent `act`, which is given the state (tasks, 7) and a mask of length
        2 · tasks + 1 in the order nothing, +1 for each task, −1 for each task, and answers with an index."""
        import numpy as np

        budget = Budget(view)
        running = [claim for claim in view.claims if claim.workers]
        still: set[TaskId] = {claim.task.id for claim in running if not claim.movable}
        tends = {claim.task.id for claim in running if self.converges(claim)}
        for claim in running:
            if claim.movable:
                keeps = min(claim.workers, claim.most)
                if keeps > claim.least and claim.task.id in tends:
                    keeps -= 1
                budget.give(claim, keeps)
                if keeps != claim.workers:
                    still.add(claim.task.id)
        for claim in running:
            if claim.movable and claim.workers < claim.least:  # its bounds were changed meanwhile
                budget.give(claim, claim.least - claim.workers)
        self._start(view, budget, still)
        performed = [claim for claim in view.claims if budget.given[claim.task.id]]
        while performed:
            mask = _mask(performed, budget, still, tends)
            if not mask[1 : len(performed) + 1].any():
                break  # no room is free, or nobody may take it
            action = act(state_of(performed, budget, view), np.array(mask))
            if action == 0:
                break
            more, at = divmod(action - 1, len(performed))
            budget.give(performed[at], 1 if more == 0 else -1)
            still.add(performed[at].task.id)
        return budget.given

    def converges(self, claim: Claim) -> bool:
        """Does it tend to converge?"""
        return tends_to_converge(claim.learned, self.threshold, self.window)

    def _start(self, view: AllotmentView, budget: Budget, still: set[TaskId]) -> None:
        share = _size(view.claims, budget) // max(len(view.claims), 1)
        for claim in view.claims:
            if not claim.workers and claim.movable:
                count = min(max(share, claim.least), budget.spare(claim))
                if count >= claim.least and budget.give(claim, count):
                    still.add(claim.task.id)


def _size(claims: Sequence[Claim], budget: Budget) -> int:
    """Workers there are in all, given and free."""
    free = max((c.task.spec.resources.times_fitting(budget.free) for c in claims), default=0)
    return sum(budget.given.values()) + free


def greedy(network: TaskNetwork, state: np.ndarray, mask: np.ndarray) -> int:
    """The allowed action with the largest logit."""
    import numpy as np

    return int(np.where(mask, logits(network, state), -np.inf).argmax())


def logits(network: TaskNetwork, state: np.ndarray) -> np.ndarray:
    """Of nothing, +1 for each task, −1 for each task."""
    import numpy as np

    each, nothing = network(state)
    return np.concatenate([nothing, each[:, 0], each[:, 1]])


def _mask(performed: list[Claim], budget: Budget, still: set[TaskId], tends: set[TaskId]) -> np.ndarray:
    import numpy as np

    free = [claim.movable and claim.task.id not in still for claim in performed]
    more = [
        f and c.task.id not in tends and budget.spare(c) > 0 for f, c in zip(free, performed, strict=True)
    ]
    less = [f and budget.given[c.task.id] > c.least for f, c in zip(free, performed, strict=True)]
    return np.array([True, *more, *less])


def state_of(performed: list[Claim], budget: Budget, view: AllotmentView) -> np.ndarray:
    """The paper's state, one row per task, each number brought to about 0..1:

    m: 1, the task is performed; e: epochs (or steps) completed, log(1 + e)/5; l: the latest loss and n: the
    largest so far, log(1 + ·); a: accuracy; c: time it has used nodes, log(1 + minutes)/5; w: its share of
    all nodes.
    """
    import numpy as np

    size = max(_size(performed, budget), 1)
    rows = []
    for claim in performed:
        points = claim.learned.points
        last = points[-1] if points else None
        losses = [p.loss for p in points if p.loss is not None and p.loss > 0]
        done = (last.epoch if last.epoch is not None else last.step) if last is not None else 0.0
        accuracy = next((p.accuracy for p in reversed(points) if p.accuracy is not None), 0.0)
        rows.append(
            (
                1.0,
                math.log1p(max(done, 0.0)) / 5,
                math.log1p(losses[-1]) if losses else 1.0,
                math.log1p(max(losses)) if losses else 1.0,
                accuracy,
                math.log1p(claim.task.running_s(view.now) / 60) / 5,
                budget.given[claim.task.id] / size,
            )
        )
    return np.array(rows)
