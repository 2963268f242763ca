"""Local SGD: each worker trains on its own part, and the models are averaged every k steps.

A round takes the next k·batch samples per worker of the epoch's order and divides them by the workers' speed.
Each worker takes ordinary optimizer steps on its part, of `batch` samples each; then parameters and
floating-point buffers become their mean, weighted by samples. Optimizer state stays local, and a joiner gets
the leader's. More workers mean fewer steps of each per epoch: the trade of accuracy for speed that RLPTO
assumes. A round that fails is done again from its beginning.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from trainmaster.train.communicator import LinkFailed
from trainmaster.train.core import Core
from trainmaster.train.errors import NotFinite
from trainmaster.train.feed import Feed
from trainmaster.train.gpu import device_of
from trainmaster.train.reduction import Said
from trainmaster.train.sampler import global_batch, split
from trainmaster.train.shares import Shares
from trainmaster.train.tally import Tally


class LocalSgd:
    """The rounds of one worker. In this mode `position.index` counts samples of the part."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._shares = Shares(1)
        self._shared_in = -1  # the generation these are of
        self._tally = Tally(core.clock)
        self.dropped = False  # a step of one's own cannot fail; a round can, and comes again
        self.indices = torch.empty(0, dtype=torch.int64)

    def may_step(self) -> bool:
        return True

    may_advance = may_step

    def works(self, position: int) -> bool:
        """Whether the member at this position gets samples."""
        return True

    def batches(self, feed: Feed, batch: int, epoch: int, part: int) -> Iterator[Any]:
        """This worker's batches of the rounds that are left of the part."""
        core, position = self._core, self._core.position
        while True:
            core.ensure()
            if (position.epoch, position.part) != (epoch, part) or core.capped:
                return
            group = core.group
            try:
                feed.meet()
            except LinkFailed as failed:
                group.broken(failed)
                continue
            if not feed.size:
                return
            if self._shared_in != group.generation:
                self._shares, self._shared_in = Shares(group.size), group.generation
                self._tally = Tally(core.clock)
            order = global_batch(core.options.seed, epoch, part, 0, feed.size, feed.size)
            whole = order[position.index :][: core.options.average_every * batch * group.size]
            counts = split(len(whole), self._shares.weights)
            own = whole.split(counts)[group.position]
            before = core.replica.copy()
            begun = core.clock.monotonic()
            try:
                for at in range(0, len(own), batch):
                    self.indices = own[at : at + batch]
                    taken = feed.take(self.indices)
                    feed.expect(own[at + batch : at + 2 * batch])
                    yield taken
            except LinkFailed as failed:
                self._undo(failed, before)
                continue
            except GeneratorExit:  # who breaks out of the loop ends the round too
                self._average(counts, batch, feed.size, begun, before)
                raise
            said = self._average(counts, batch, feed.size, begun, before)
            if said is not None:
                core.turn(said.stop > 0, int(said.newest))

    def _average(
        self, counts: list[int], batch: int, size: int, begun: float, before: list[Any]
    ) -> Said | None:
        """End a round; None if it has to be done again."""
        core, group = self._core, self._core.group
        assert group.link is not None
        core.clock.worked(counts[group.position], group.size)
        core.computed()
        spent_s = core.clock.monotonic() - begun
        tensors = core.replica.averaged()
        dtype = torch.float32
        for tensor in tensors:
            dtype = torch.promote_types(dtype, tensor.dtype)
        weight = counts[group.position] / sum(counts)
        spent, bad = [0.0] * group.size, [0.0] * group.size
        place = group.link.place(device_of(tensors))
        model = torch.cat([tensor.reshape(-1).to(place, dtype) for tensor in tensors])
        spent[group.position], bad[group.position] = spent_s, float(not model.isfinite().all())
        newest = group.newest() if group.leads else 0
        tail = torch.tensor([float(core.stopping), float(newest), *spent, *bad], dtype=dtype, device=place)
        flat = torch.cat([model * weight if weight else torch.zeros_like(model), tail])
        group.begin()
        try:
            group.link.sum(flat)
        except LinkFailed as failed:
            self._undo(failed, before)
            return None
        core.pace.agreed()
        stop, newest_of_all, *rest = flat[len(model) :].tolist()
        self._refuse([group.members[at] for at, one in enumerate(rest[group.size :]) if one])
        with torch.no_grad():
            parts = flat[: len(model)].split([tensor.numel() for tensor in tensors])
            for tensor, mean in zip(tensors, parts, strict=True):
                tensor.copy_(mean.view_as(tensor))
        changed = core.options.shares == "speed" and self._shares.add(counts, rest[: group.size])
        if self._tally.step(sum(counts), changed) and group.leads:
            core.tell_shares(
                group.members, self._shares.weights, counts, rest[: group.size], self._tally.take()
            )
        core.position.round_done(-(-max(counts) // batch), sum(counts), size)
        return Said(stop=stop, newest=newest_of_all)

    def _undo(self, failed: LinkFailed, before: list[Any]) -> None:
        """Go back to the beginning of a round that failed."""
        self._core.replica.revert(before)
        self._core.group.broken(failed)

    def _refuse(self, workers: list[int]) -> None:
        if workers:
            step = self._core.position.step
            raise NotFinite(
                f"the round from step {step}: the model of worker {workers} is not finite",
                step=step, epoch=self._core.position.epoch, workers=workers,
            )  # fmt: skip
