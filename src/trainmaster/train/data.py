"""Taking samples out of a dataset by their indices."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import TensorDataset, default_collate

from trainmaster.train.errors import WrongUse


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
