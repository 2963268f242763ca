"""Added samples: which they are, and that the rest stays as it is."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import TensorDataset

from trainmaster.train.data import Increment, Samples
from trainmaster.train.errors import WrongUse


def negated(sample: tuple[torch.Tensor, ...], chance: torch.Generator) -> tuple[torch.Tensor, ...]:
    x, y = sample
    return -x - torch.rand((), generator=chance), y


def test_only_added_samples_are_changed_and_always_in_the_same_way() -> None:
    increment = Increment(1.5, negated, seed=3)
    samples = Samples(TensorDataset(torch.arange(4.0), torch.arange(4)))
    assert increment.size(4) == 6
    drawn = increment.drawn(1, 0, 4)
    assert drawn.shape == (2,) and torch.equal(drawn, increment.drawn(1, 0, 4))
    indices = torch.tensor([5, 2, 4])
    base = samples.take(torch.tensor([int(drawn[1]), 2, int(drawn[0])]))
    x, y = increment.change(base, indices, 4, 1, 0)
    assert x[1] == 2 and y.tolist() == [int(drawn[1]), 2, int(drawn[0])]
    assert x[0] <= -drawn[1] and x[2] <= -drawn[0]
    again, _ = increment.change(base, indices.flip(0), 4, 1, 0)
    assert again[1] == 2 and base[0][1] == 2, "what was taken is left alone"
    alone, _ = increment.change([x[:1] * 0, y[:1]], torch.tensor([5]), 4, 1, 0)
    assert alone[0] - 0 == pytest.approx(float(x[0] + drawn[1])), "its own chance, in any batch"


@pytest.mark.parametrize(("load_factor", "augment"), [(0.5, negated), (1.5, None), (1.0, negated)])
def test_a_factor_and_a_function_go_together(load_factor: float, augment: object) -> None:
    with pytest.raises(WrongUse):
        Increment(load_factor, augment, 0)  # type: ignore[arg-type]
