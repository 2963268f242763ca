"""Pollux (Qiao et al., OSDI 2021): a genetic search for the counts with the best mean speed-up."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainmaster.domain.ids import TaskId
from trainmaster.policies.allotment.budget import Budget
from trainmaster.policies.allotment.estimates import seconds_each
from trainmaster.policies.base import AllotmentView, Claim, finished

if TYPE_CHECKING:
    from numpy.random import Generator as Chance
    from numpy.typing import NDArray

    Ints = NDArray[Any]
    Floats = NDArray[Any]

_LEAST_SPEEDUP = 1e-2  # of a task that waits: the power mean with p = −1 has no value at 0
_PART = 30_000  # counts looked at in one part of the search: 4 ms, on a slow machine


@dataclass(frozen=True, slots=True)
class Pollux:
    """The counts whose speed-ups have the largest power mean (its equations 14 to 16).

    A task's speed-up is its speed over that with a fair share (room / tasks) of workers. One that would
    change its count is worth (T − R·δ) / (T + δ) of it: T its age, R its resizes so far, δ the seconds a
    resize costs. With p = −1 the mean is harmonic. The search: `generations` of `population` schemes;
    children take each count from either parent, and one in as many as there are tasks is drawn anew; what
    exceeds the room is taken back in random order; the best of parents and children live on. It begins with
    the present scheme, even shares, and random ones.

    Where the paper is silent or we differ: it searches matrices of tasks × nodes, ours counts (where workers
    go is the placement's, so `known` speeds are those of compact placements); it goes on with the population
    of the last decision, ours begins anew, as a policy keeps nothing; a task that waits counts with a
    speed-up of 0.01. Chance comes from the decision's number. *Knows* speeds where the claim carries them,
    else fits them.
    """

    population: int = 100
    generations: int = 100
    power: float = -1.0
    name: str = "pollux"
    suspends: bool = True

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        return finished(self.deliberate(view))

    def deliberate(self, view: AllotmentView) -> Generator[None, None, Mapping[TaskId, int]]:
        import numpy as np

        budget = Budget(view)
        must = [c for c in view.claims if c.movable and c.workers and not c.task.spec.preemptible]
        for claim in must:
            budget.give(claim, claim.least)
        claims = [claim for claim in view.claims if claim.movable]
        if not claims:
            return budget.given
        search = _Search(self, claims, budget, np.random.default_rng(view.salt), view.now)
        best = yield from search.best()
        for claim, count in zip(claims, best, strict=True):
            count = min(count, budget.given[claim.task.id] + budget.spare(claim))
            if count >= claim.least:
                budget.give(claim, count - budget.given[claim.task.id])
        return budget.given


class _Search:
    """Schemes are rows of counts, one column per claim."""

    def __init__(self, policy: Pollux, claims: list[Claim], budget: Budget, rng: Chance, now: float) -> None:
        import numpy as np

        self.policy, self.rng = policy, rng
        self.floor = np.array([budget.given[claim.task.id] for claim in claims])
        self.least = np.array([claim.least for claim in claims])
        self.present = np.array([claim.workers for claim in claims])
        seconds = [seconds_each(claim) for claim in claims]
        self.most = np.array([min(c.most, len(s)) for c, s in zip(claims, seconds, strict=True)])
        self.needs = np.array(
            [
                [need.cpu_m, need.memory, need.gpus, need.lanes]
                for need in (claim.task.spec.resources for claim in claims)
            ],
            dtype=float,
        )
        free = budget.free
        self.free = np.array([free.cpu_m, free.memory, free.gpus, free.lanes], dtype=float)
        asked = self.needs.any(axis=0)  # nothing is looked at that nobody asks for
        self.needs, self.free = self.needs[:, asked], self.free[asked]
        places = sum(budget.spare(claim) for claim in claims)
        share = max(
            min(max(budget.spare(c) for c in claims) + int(self.floor.sum()), places) // len(claims), 1
        )
        self.share = np.clip(share, self.least, self.most)
        self.worth = self._worth(claims, seconds, now)

    def _worth(self, claims: list[Claim], seconds: list[tuple[float, ...]], now: float) -> Floats:
        """worth[i, w]: the speed-up of claim i with w workers to the power p."""
        import numpy as np

        speedup = np.full((len(claims), int(self.most.max()) + 1), _LEAST_SPEEDUP)
        for row, (claim, each) in enumerate(zip(claims, seconds, strict=True)):
            rates = 1 / np.array(each[: self.most[row]])
            speedup[row, 1 : len(rates) + 1] = rates / rates[self.share[row] - 1]
            if claim.workers:
                age = max(now - claim.task.submitted_at, 0.0)
                cost, resizes = claim.resize_s, claim.learned.resizes
                factor = max(age - resizes * cost, 0.0) / (age + cost) if age + cost else 1.0
                moved = np.arange(speedup.shape[1]) != claim.workers
                speedup[row, moved] *= factor
        floats: Floats = np.maximum(speedup, _LEAST_SPEEDUP) ** self.policy.power
        return floats

    def best(self) -> Generator[None, None, list[int]]:
        import numpy as np

        size, tasks = self.policy.population, len(self.most)
        first = self.rng.integers(0, self.most + 1, size=(size, tasks))
        first[0], first[1] = np.minimum(self.present, self.most), self.share
        schemes = self._repaired(first)
        fitness = self._fitness(schemes)
        at_once = max(_PART // (size * tasks), 1)
        for generation in range(self.policy.generations):
            if generation % at_once == 0:
                yield
            mothers, fathers = schemes[self.rng.integers(0, size, size=(2, size))]
            children = np.where(self.rng.random((size, tasks)) < 0.5, mothers, fathers)
            anew = self.rng.random((size, tasks)) < 1 / tasks
            children = np.where(anew, self.rng.integers(0, self.most + 1, size=(size, tasks)), children)
            children = self._repaired(children)
            schemes = np.concatenate([schemes, children])
            fitness = np.concatenate([fitness, self._fitness(children)])
            living = np.argsort(-fitness, kind="stable")[:size]
            schemes, fitness = schemes[living], fitness[living]
        found: list[int] = schemes[0].tolist()
        return found

    def _fitness(self, schemes: Ints) -> Floats:
        """A number that rises with the power mean."""
        import numpy as np

        total = self.worth[np.arange(schemes.shape[1]), schemes].sum(axis=1)
        fitness: Floats = total if self.policy.power > 0 else -total
        return fitness

    def _repaired(self, schemes: Ints) -> Ints:
        """Within bounds, and no more than there is."""
        import numpy as np

        schemes = np.maximum(schemes, self.floor)
        extra = np.where(schemes < self.least, 0, schemes - self.floor)
        places = self.rng.random(schemes.shape)
        # Few rows of a search that has come to rest ask for too much: only they pay for the cutting.
        over = (extra @ self.needs > self.free).any(axis=1)
        if over.any():
            extra[over] = self._cut(extra[over], np.argsort(places[over], axis=1))
        repaired: Ints = self.floor + extra
        return repaired

    def _cut(self, extra: Ints, order: Ints) -> Ints:
        """In this order, what does not fit any more is taken back; who keeps too little gives up all."""
        import numpy as np

        wanted = np.take_along_axis(extra, order, axis=1)
        kept = wanted.astype(float)
        for need, free in zip(self.needs.T, self.free, strict=True):
            each = need[order]
            asked = wanted * each
            left = np.maximum(free - (np.cumsum(asked, axis=1) - asked), 0.0)
            with np.errstate(divide="ignore", invalid="ignore"):
                kept = np.fmin(kept, np.floor(left / each))  # nothing is asked: no limit
        cut = np.empty_like(extra)
        np.put_along_axis(cut, order, kept.astype(extra.dtype), axis=1)
        cut[self.floor + cut < self.least] = 0
        return cut
