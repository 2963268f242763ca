"""The samples of a `batches` loop: where they lie, how they are taken out, and what is added to them.

Every worker knows which samples are its own (`sampler`), so partitioning the data moves none of it: they are
read by reference, from a data set that every worker opens where it is shared. Or they are transferred:
workers without data ask a member that has them (`transfer`). These are the two ways of Figure 4 of the
coupled-scheduling paper, whose "random increment" is here too: more samples a round by a load factor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import TensorDataset, default_collate

from trainmaster.train.errors import WrongUse

Augment = Callable[[tuple[torch.Tensor, ...], torch.Generator], tuple[torch.Tensor, ...]]


class Samples:
    """A map-style dataset. A `TensorDataset` is indexed by whole tensors, anything else sample by sample."""

    def __init__(self, dataset: Any) -> None:
        if not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
            raise WrongUse("t.batches needs a dataset with a length and an index, such as a TensorDataset")
        self._dataset = dataset
        self.size = len(dataset)

    def take(self, indices: torch.Tensor) -> Any:
        """The batch of these samples, collated as a DataLoader would."""
        if isinstance(self._dataset, TensorDataset):
            return [tensor[indices] for tensor in self._dataset.tensors]
        return default_collate([self._dataset[index] for index in indices.tolist()])


@dataclass(frozen=True, slots=True)
class Increment:
    """`load_factor` times as many samples a round: each once, and drawn ones changed by `augment`.

    Indices from `size` on are of the added samples. Which ones they are, and the generator that `augment` is
    given, depend on (seed, epoch, part, index) alone, so it does not matter who trains on them.
    """

    load_factor: float
    augment: Augment | None
    seed: int

    def __post_init__(self) -> None:
        if self.load_factor < 1 or (self.load_factor > 1) != (self.augment is not None):
            raise WrongUse("a load_factor above 1 and an augment function go together")

    def size(self, size: int) -> int:
        """Samples of a round over a data set of `size`."""
        return int(size * self.load_factor)

    def drawn(self, epoch: int, part: int, size: int) -> torch.Tensor:
        """Whom the added samples are made of, an int64 vector of indices below `size`."""
        added = self.size(size) - size
        return torch.randint(size, (added,), generator=self._chance(epoch, part)) if added else _NONE

    def change(self, batch: Any, indices: torch.Tensor, size: int, epoch: int, part: int) -> Any:
        """Augment those rows of a collated batch that were added."""
        added = (indices >= size).nonzero().flatten().tolist()
        if not added:
            return batch
        if not isinstance(batch, list | tuple) or self.augment is None:
            raise WrongUse(f"augment takes samples that are tuples of tensors, not a {type(batch).__name__}")
        fields = [field.clone() for field in batch]
        for row in added:
            chance = self._chance(epoch, part, int(indices[row]))
            made = self.augment(tuple(field[row] for field in fields), chance)
            for field, value in zip(fields, made, strict=True):
                field[row] = value
        return fields

    def _chance(self, *where: int) -> torch.Generator:
        mixed = self.seed
        for number in where:
            mixed = (mixed * 1_000_003 + number + 1) % 2**61
        return torch.Generator().manual_seed(mixed)


_NONE = torch.empty(0, dtype=torch.int64)
