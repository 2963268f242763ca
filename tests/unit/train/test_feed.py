"""Who gives samples to whom."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import torch
from torch.utils.data import TensorDataset

from trainmaster.train.data import Increment, Samples
from trainmaster.train.feed import Feed
from trainmaster.train.transfer import Giver


def member(position: int, said: list[dict[str, Any]]) -> Any:
    """What a feed sees of its worker, as a member of a group whose others said this."""
    link = SimpleNamespace(gather=lambda text: [json.dumps(one) for one in said])
    group = SimpleNamespace(position=position, generation=1, link=link, begin=lambda: None, look=lambda: None)
    return SimpleNamespace(options=SimpleNamespace(data="transfer"), group=group)


def test_those_without_data_take_turns_at_those_with() -> None:
    said: list[dict[str, Any]] = []
    for mark in (0, 1):
        giver = Giver("127.0.0.1")
        giver.offer("0.0", Samples(TensorDataset(torch.full((6,), mark))))
        said += [{"address": giver.address, "size": 6}, {"address": "", "size": None}]
    said.append({"address": "", "size": None})
    took = []
    for position in (1, 3, 4):
        feed = Feed(member(position, said), None, Increment(1.0, None, 0), epoch=0, part=0)
        feed.meet()
        (values,) = feed.take(torch.tensor([0, 5]))
        took.append(values.tolist())
        feed.close()
    assert took == [[0, 0], [1, 1], [0, 0]]
