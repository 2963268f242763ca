"""Gradients of unequal shares, weighted and summed, are that of the full batch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import torch
import torch.nn.functional as F
from torch import nn

from trainmaster.train.communicator import Alone
from trainmaster.train.reduction import Reduction, Said


class Threads(Alone):
    """Members of a group that are threads of one process."""

    def __init__(self, size: int) -> None:
        self._barrier = Barrier(size, timeout=30)
        self._given: list[torch.Tensor] = []

    def sum(self, values: torch.Tensor) -> None:
        self._given.append(values)
        self._barrier.wait()
        total = torch.stack(self._given).sum(0)
        self._barrier.wait()
        values.copy_(total)


def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10))


def gradient(model: nn.Module) -> torch.Tensor:
    return torch.cat([one.grad.reshape(-1) for one in model.parameters() if one.grad is not None])


def test_shares_of_190_44_and_22_samples_have_the_gradient_of_all_256() -> None:
    draw = torch.Generator().manual_seed(5)
    x, y = torch.randn(256, 784, generator=draw), torch.randint(0, 10, (256,), generator=draw)
    whole, rounded = network().double(), network()
    F.cross_entropy(whole(x.double()), y).backward()
    F.cross_entropy(rounded(x), y).backward()
    parts = [190, 44, 22]
    models = [network() for _ in parts]
    for model, inputs, labels in zip(models, x.split(parts), y.split(parts), strict=True):
        F.cross_entropy(model(inputs), labels).backward()
    link = Threads(3)

    def reduce(at: int) -> None:
        one = Reduction(list(models[at].parameters()), lambda: None)
        one.reduce(link, at, 3, parts[at] / 256, Said(), 0.1)

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(reduce, range(3)))
    expected = gradient(whole)

    def off(model: nn.Module) -> float:
        return float((gradient(model).double() - expected).norm() / expected.norm())

    # Or no further than all 256 at once in float32: some processors round more than others.
    limit = max(2e-7, off(rounded))
    assert all(off(model) <= limit for model in models)
