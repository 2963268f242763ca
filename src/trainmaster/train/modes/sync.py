"""Synchronous data parallelism over a fixed global batch: how many work on it does not change what is learnt.

A step that fails is dropped and done again: the optimizer's `step` does nothing in the meantime, and the same
batch comes round again, divided among those who are left.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from trainmaster.train.communicator import LinkFailed
from trainmaster.train.core import Core
from trainmaster.train.errors import NotFinite, UnevenStep
from trainmaster.train.feed import Feed
from trainmaster.train.reduction import Reduction, Said
from trainmaster.train.sampler import global_batch, split, steps
from trainmaster.train.shares import Shares
from trainmaster.train.tally import Tally


class Sync:
    """The steps of one worker."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._reduction: Reduction | None = None
        self._weight = 0.0
        self._shares = Shares(1)
        self._shared_in = -1  # the generation these are of
        self._tally = Tally(core.clock)
        self._changed = False  # the shares, in this step
        self._counts: list[int] = []
        self._seconds: list[float] = []  # each worker's, of the latest backward
        self._begun = 0.0  # monotonic, when this worker last went to work on its own
        self._in_step = False
        self._reduced: Said | None = None
        self._stepped = False
        self._kept: list[torch.Tensor | None] | None = None
        self.dropped = False
        self.skipped = False
        self.indices = torch.empty(0, dtype=torch.int64)

    def may_step(self) -> bool:
        """Whether an optimizer may change the model now."""
        self._stepped = True
        return not (self.dropped or self.skipped)

    may_advance = may_step  # … and a scheduler or whatever else has a `step`

    def works(self, position: int) -> bool:
        """Whether the member at this position gets samples."""
        return True

    def batches(self, feed: Feed, batch: int, epoch: int, part: int) -> Iterator[Any]:
        """This worker's share of each global batch that is left of the part."""
        core, position = self._core, self._core.position
        if self._reduction is None:
            self._reduction = self._make_reduction()
        while True:
            core.ensure()
            if (position.epoch, position.part) != (epoch, part) or core.capped:
                return
            try:
                feed.meet()
                total = steps(feed.size, batch)
                if not total:
                    return
                taken = self._take(feed, batch, total)
            except LinkFailed as failed:
                core.group.broken(failed)
                continue
            self._in_step = True
            try:
                yield taken
            except GeneratorExit:
                self._finish(total)
                raise
            said = self._finish(total)
            if said is not None:
                core.turn(said.stop > 0, int(said.newest))

    def _make_reduction(self) -> Reduction:
        return Reduction(self._core.replica.parameters(), self._ended)

    # --- one step ------------------------------------------------------------------------------------------

    def _take(self, feed: Feed, batch: int, total: int) -> Any:
        """Prepare a step and take its samples. Raises LinkFailed."""
        position, seed = self._core.position, self._core.options.seed

        def whole(index: int) -> torch.Tensor:
            return global_batch(seed, position.epoch, position.part, index, feed.size, batch)

        samples = whole(position.index)
        self._begun = self._core.clock.monotonic()
        self._begin(samples)
        # Who has none keeps step with two of another's, which weigh nothing: BatchNorm refuses one.
        taken = feed.take(self.indices if self._weight else samples[:2])
        if feed.asks and self._weight and position.index + 1 < total:
            feed.expect(self._divide(whole(position.index + 1))[1])
        return taken

    def _begin(self, whole: torch.Tensor) -> None:
        group = self._core.group
        if self._shared_in != group.generation:
            self._shares, self._shared_in = Shares(len(self._working())), group.generation
            self._tally = Tally(self._core.clock)
        self._counts, self.indices = self._divide(whole)
        self._weight = len(self.indices) / len(whole)
        self.dropped = self.skipped = self._stepped = False
        self._reduced = None
        parameters = self._core.replica.parameters() if self._core.accumulating else []
        self._kept = [None if one.grad is None else one.grad.clone() for one in parameters] or None

    def _divide(self, whole: torch.Tensor) -> tuple[list[int], torch.Tensor]:
        """How many samples of the global batch each member gets, and which ones this worker does."""
        counts = [0] * self._core.group.size
        for at, count in zip(self._working(), split(len(whole), self._shares.weights), strict=True):
            counts[at] = count
        first = sum(counts[: self._core.group.position])
        return counts, whole[first : first + counts[self._core.group.position]]

    def _ended(self) -> None:
        """The end of a backward, wherever it is called."""
        if self._in_step and not self.dropped:
            self._reduce(idle=False)

    def _reduce(self, idle: bool) -> None:
        core, group = self._core, self._core.group
        assert self._reduction is not None and group.link is not None
        newest = group.newest() if group.leads else 0
        said = Said(float(core.stopping), float(newest), float(idle))
        core.clock.worked(0 if idle else len(self.indices), len(self._working()))
        core.computed()
        spent_s = core.clock.monotonic() - self._begun
        group.begin()
        try:
            weight = 0.0 if idle else self._weight
            agreed, seconds, bad = self._reduction.reduce(
                group.link, group.position, group.size, weight, said, spent_s
            )
        except LinkFailed as failed:
            self._drop(failed)
            return
        core.pace.agreed()
        self._begun = self._core.clock.monotonic()
        self._reduced = agreed
        by_speed = core.options.shares == "speed" and not agreed.idle
        working = self._working()
        counts, times = [self._counts[at] for at in working], [seconds[at] for at in working]
        self._changed |= by_speed and self._shares.add(counts, times)
        self._seconds = seconds
        if 0 < agreed.idle < group.size:
            raise UnevenStep(f"step {core.position.step}: not all called backward", step=core.position.step)
        if bad and not core.replica.scales:
            self._not_finite(bad)

    def _working(self) -> list[int]:
        """Positions of the members that get samples."""
        return [at for at in range(self._core.group.size) if self.works(at)]

    def _drop(self, failed: LinkFailed) -> None:
        assert self._reduction is not None
        self.dropped, self._reduced = True, None
        self._reduction.renew()
        self._core.group.broken(failed)

    def _not_finite(self, bad: list[int]) -> None:
        position, members = self._core.position, self._core.group.members
        workers = [members[at] for at in bad]
        if self._core.options.not_finite == "skip":
            self.skipped = True
            return
        raise NotFinite(
            f"step {position.step} of epoch {position.epoch}: gradients of worker {workers} are not finite",
            step=position.step, epoch=position.epoch, workers=workers,
        )  # fmt: skip

    def _finish(self, total: int) -> Said | None:
        """After the loop's body: commit the step, or prepare to do it again (None)."""
        if self._reduced is None and not self.dropped:
            self._reduce(idle=True)
        self._in_step = False
        if not self.dropped:
            self._settle()
        if self.dropped:
            for at, parameter in enumerate(self._core.replica.parameters()):
                parameter.grad = self._kept[at] if self._kept else None
            return None
        self._core.accumulating = not self._stepped and not (self._reduced and self._reduced.idle)
        self._core.position.step_done(1, total)
        if self._tally.step(sum(self._counts), self._changed) and self._core.group.leads:
            self._tell()
        self._changed = False
        return self._reduced

    def _tell(self) -> None:
        working, members = self._working(), self._core.group.members
        self._core.tell_shares(
            [members[at] for at in working],
            self._shares.weights,
            [self._counts[at] for at in working],
            [self._seconds[at] for at in working],
            self._tally.take(),
        )

    def _settle(self) -> None:
        """What is left of a step that the others made too. It may still fail, and `_drop`."""
