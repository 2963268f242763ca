"""RLPTO (Lu et al., TPDS 2023): who gains little gives workers up, and a trained agent hands them on."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainmaster.domain.ids import TaskId
from trainmaster.domain.units import Resources
from trainmaster.policies.allotment.budget import Budget
from trainmaster.policies.base import AllotmentView, Claim, finished
from trainmaster.policies.convergence import check_beta, tends_to_converge
from trainmaster.policies.learned import TaskNetwork, shipped

if TYPE_CHECKING:
    import numpy as np

FEATURES = ("m", "e", "l", "n", "a", "c", "w")
OUTPUTS = 2  # logits of one worker more and one less
_PART = 2_000  # tasks that the agent rates in one part of its thinking: 4 ms, on a slow machine
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
        return finished(self.deliberate(view))

    def deliberate(self, view: AllotmentView) -> Generator[None, None, Mapping[TaskId, int]]:
        network = self.network or shipped(self.name, FEATURES, OUTPUTS)
        return self._cycle(view, lambda state, mask: greedy(network, state, mask))

    def cycle(self, view: AllotmentView, act: Act) -> Mapping[TaskId, int]:
        """One scheduling cycle with the agent `act`, which is given the state (tasks, 7) and a mask of length
        2 · tasks + 1 in the order nothing, +1 for each task, −1 for each task, and answers with an index."""
        return finished(self._cycle(view, act))

    def _cycle(self, view: AllotmentView, act: Act) -> Generator[None, None, Mapping[TaskId, int]]:
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
        shown = _Shown(performed, budget, view, still, tends)
        rated = 0
        while performed:
            if rated >= _PART:
                yield
                rated = 0
            rated += len(performed)
            mask = shown.mask()
            if not mask[1 : len(performed) + 1].any():
                break  # no room is free, or nobody may take it
            action = act(shown.state(), mask)
            if action == 0:
                break
            more, at = divmod(action - 1, len(performed))
            shown.change(at, 1 if more == 0 else -1)
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


class _Shown:
    """What the agent is shown, kept up to date from one action to the next: of the tasks only one changes.

    The paper's state has one row per task, each number brought to about 0..1: m: 1, the task is performed;
    e: epochs (or steps) completed, log(1 + e)/5; l: the latest loss and n: the largest so far, log(1 + ·); a:
    accuracy; c: time it has used nodes, log(1 + minutes)/5; w: its share of all nodes.
    """

    def __init__(
        self,
        performed: list[Claim],
        budget: Budget,
        view: AllotmentView,
        still: set[TaskId],
        tends: set[TaskId],
    ) -> None:
        import numpy as np

        self._performed, self._budget = performed, budget
        self._workers = sum(budget.given.values())
        self._given = np.array([budget.given[claim.task.id] for claim in performed], dtype=np.int64)
        self._least = np.array([claim.least for claim in performed])
        self._most = np.array([claim.most for claim in performed])
        self._free = np.array([c.movable and c.task.id not in still for c in performed], dtype=bool)
        self._grows = np.array([claim.task.id not in tends for claim in performed], dtype=bool)
        self._by_need: dict[Resources, list[int]] = {}
        for at, claim in enumerate(performed):
            self._by_need.setdefault(claim.task.spec.resources, []).append(at)
        self._state = np.array([_row(claim, view.now) for claim in performed])

    def mask(self) -> np.ndarray:
        """What may be done, in the order of `logits`."""
        import numpy as np

        room = np.zeros(len(self._performed), dtype=bool)
        for need, those in self._by_need.items():
            room[those] = need.fits(self._budget.free)
        more = self._free & self._grows & room & (self._given < self._most)
        return np.concatenate([[True], more, self._free & (self._given > self._least)])

    def state(self) -> np.ndarray:
        """One row per task."""
        free = max((need.times_fitting(self._budget.free) for need in self._by_need), default=0)
        self._state[:, -1] = self._given / max(self._workers + free, 1)
        return self._state.copy()

    def change(self, at: int, count: int) -> None:
        """Give a task `count` workers more, its one change in this cycle."""
        self._budget.give(self._performed[at], count)
        self._given[at] += count
        self._workers += count
        self._free[at] = False


def _row(claim: Claim, now: float) -> tuple[float, ...]:
    """Its state but for the share."""
    points = claim.learned.points
    last = points[-1] if points else None
    losses = [p.loss for p in points if p.loss is not None and p.loss > 0]
    done = (last.epoch if last.epoch is not None else last.step) if last is not None else 0.0
    return (
        1.0,
        math.log1p(max(done, 0.0)) / 5,
        math.log1p(losses[-1]) if losses else 1.0,
        math.log1p(max(losses)) if losses else 1.0,
        next((p.accuracy for p in reversed(points) if p.accuracy is not None), 0.0),
        math.log1p(claim.task.running_s(now) / 60) / 5,
        0.0,
    )
