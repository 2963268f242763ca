"""Synchronous data parallelism over a fixed global batch: how many work on it does not change what is learnt.

A step that fails is dropped and done again: the optimizer's `step` does nothing in the meantime, and the same
batch comes round again, divided among those who are left.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import torch

from trainmaster.train.communicator import LinkFailed
from trainmaster.train.core import Core
from trainmaster.train.data import Samples
from trainmaster.train.errors import NotFinite, UnevenStep
from trainmaster.train.reduction import Reduction, Said
from trainmaster.train.sampler import global_batch, split, steps
from trainmaster.train.shares import Shares


class Sync:
    """The steps of one worker."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._reduction: Reduction | None = None
        self._weight = 0.0
        self._shares = Shares(1)
        self._shared_in = -1  # the generation these are of
        self._counts: list[int] = []
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

    def batches(self, dataset: Any, batch: int, epoch: int, part: int) -> Iterator[Any]:
        """This worker's share of each global batch that is left of the part."""
        core, position = self._core, self._core.position
        samples = Samples(dataset)
        total = steps(samples.size, batch)
        if self._reduction is None:
            self._reduction = Reduction(core.replica.parameters(), self._ended)
        while True:
            core.ensure()
            if (position.epoch, position.part) != (epoch, part) or not total or core.capped:
                return
            whole = global_batch(core.options.seed, epoch, part, position.index, samples.size, batch)
            self._begin(whole)
            taken = samples.take(self.indices if self._weight else whole[:1])
            try:
                yield taken
            except GeneratorExit:
                self._finish(total)
                raise
            said = self._finish(total)
            if said is not None:
                core.turn(said.stop > 0, int(said.newest))

    # --- one step ------------------------------------------------------------------------------------------

    def _begin(self, whole: torch.Tensor) -> None:
        group = self._core.group
        if self._shared_in != group.generation:
            self._shares, self._shared_in = Shares(group.size), group.generation
        counts = self._counts = split(len(whole), self._shares.weights)
        first = sum(counts[: group.position])
        # A worker without samples keeps step with one of another's, which weighs nothing.
        self.indices = whole[first : first + counts[group.position]]
        self._weight = counts[group.position] / len(whole)
        self.dropped = self.skipped = self._stepped = False
        self._reduced, self._in_step = None, True
        parameters = self._core.replica.parameters() if self._core.accumulating else []
        self._kept = [None if one.grad is None else one.grad.clone() for one in parameters] or None
        self._begun = time.monotonic()

    def _ended(self) -> None:
        """The end of a backward, wherever it is called."""
        if self._in_step and not self.dropped:
            self._reduce(idle=False)

    def _reduce(self, idle: bool) -> None:
        core, group = self._core, self._core.group
        assert self._reduction is not None and group.link is not None
        newest = group.newest() if group.leads else 0
        said = Said(float(core.stopping), float(newest), float(idle))
        spent_s = time.monotonic() - self._begun
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
        self._begun = time.monotonic()
        self._reduced = agreed
        by_speed = core.options.shares == "speed" and not agreed.idle
        if by_speed and self._shares.add(self._counts, seconds) and group.leads:
            self._tell_shares(seconds)
        if 0 < agreed.idle < group.size:
            raise UnevenStep(f"step {core.position.step}: not all called backward", step=core.position.step)
        if bad and not core.replica.scales:
            self._not_finite(bad)

    def _tell_shares(self, seconds: list[float]) -> None:
        members, count = self._core.group.members, sum(self._counts)
        shares = split(count, self._shares.weights)
        speeds = [round(done / spent, 1) for done, spent in zip(self._counts, seconds, strict=True)]
        self._core.uplink.tell(
            "shares",
            generation=self._core.group.generation,
            step=self._core.position.step,
            shares=dict(zip(map(str, members), shares, strict=True)),
            speeds=dict(zip(map(str, members), speeds, strict=True)),
            step_s=round(self._core.pace.step_s, 6),
        )

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
        if self.dropped:
            for at, parameter in enumerate(self._core.replica.parameters()):
                parameter.grad = self._kept[at] if self._kept else None
            return None
        self._core.accumulating = not self._stepped and not (self._reduced and self._reduced.idle)
        self._core.position.step_done(1, total)
        return self._reduced
