"""What feeds one `batches` loop: this worker's samples, its own or another's, with what is added to them."""

from __future__ import annotations

import json
from typing import Any

import torch

from trainmaster.train.core import Core
from trainmaster.train.data import Increment, Samples
from trainmaster.train.errors import DataLost, WrongUse
from trainmaster.train.transfer import Giver, Taker


class Feed:
    """The data of loop `part` of `epoch`. `dataset` may be None where data is transferred."""

    def __init__(self, core: Core, dataset: Any, increment: Increment, epoch: int, part: int) -> None:
        self._core = core
        self._own = Samples(dataset) if dataset is not None else None
        if self._own is None and core.options.data != "transfer":
            raise WrongUse("a worker without data needs train.task(data='transfer')")
        self._increment = increment
        self._epoch, self._part = epoch, part
        self._loop = f"{epoch}.{part}"
        self._met = -1  # the generation in which it was agreed who gives
        self._taker: Taker | None = None
        self._plain = self._own.size if self._own is not None else 0
        self._drawn = increment.drawn(epoch, part, self._plain)

    @property
    def size(self) -> int:
        """Samples of the loop, over all workers."""
        return self._increment.size(self._plain)

    @property
    def asks(self) -> bool:
        """Samples come from another member."""
        return self._taker is not None

    def meet(self) -> None:
        """Agree on who gives to whom, once a generation: those without data take turns at those with.
        Raises LinkFailed, and DataLost if nobody can give."""
        group = self._core.group
        if self._core.options.data != "transfer" or self._met == group.generation:
            return
        self.close()
        address = ""
        if self._own is not None:
            giver = self._core.giver = self._core.giver or Giver(self._core.context.address)
            giver.offer(self._loop, self._own)
            address = giver.address
        assert group.link is not None
        group.begin()
        mine = {"address": address, "size": self._plain if self._own is not None else None}
        said = [json.loads(text) for text in group.link.gather(json.dumps(mine))]
        givers = [one for one in said if one["size"] is not None]
        if not givers:
            raise DataLost("no member has the data set")
        if self._own is None:
            takers_before = sum(one["size"] is None for one in said[: group.position])
            giving = givers[takers_before % len(givers)]
            self._taker = Taker(giving["address"], giving["size"], self._loop, group.look)
            self._plain = giving["size"]
            self._drawn = self._increment.drawn(self._epoch, self._part, self._plain)
        self._met = group.generation

    def take(self, indices: torch.Tensor) -> Any:
        """The batch of these samples. Raises LinkFailed where they come from another member."""
        source = self._own or self._taker
        assert source is not None
        self._core.group.begin()
        batch = source.take(self._whom(indices))
        return self._increment.change(batch, indices, self._plain, self._epoch, self._part)

    def expect(self, indices: torch.Tensor) -> None:
        """These will probably be taken next."""
        if self._taker is not None:
            self._taker.expect(self._whom(indices))

    def close(self) -> None:
        if self._taker is not None:
            self._taker.close()
            self._taker = None

    def _whom(self, indices: torch.Tensor) -> torch.Tensor:
        """The samples of the data set that these are, or are made of."""
        if not len(self._drawn):
            return indices
        added = indices >= self._plain
        return torch.where(added, self._drawn[(indices - self._plain).clamp(min=0)], indices)
