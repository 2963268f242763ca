"""The script of docs/how-to/elastic-training.md, as it stands there, is an elastic one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import torch

from tests.train.coordinator import Coordinator

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "elastic-training.md"
BEFORE = """
import os

import torch

torch.set_num_threads(1)
torch.manual_seed(0)
network = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3)).double()


def make_model():
    return network


def make_optimizer():
    return torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)


def make_dataset():
    draw = torch.Generator().manual_seed(7)
    samples = torch.randn(1024, 8, dtype=torch.float64, generator=draw)
    return list(zip(samples, torch.randint(0, 3, (1024,), generator=draw)))


"""
AFTER = """
if t.is_leader:
    torch.save(model.state_dict(), f"{os.environ['FOLDER']}/model.pt")
"""


def test_five_lines_make_a_script_elastic(coordinate: Callable[..., Coordinator], tmp_path: Path) -> None:
    match = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert match is not None
    assert re.findall(r"# (\d)", match[1]) == ["1", "2", "3", "4", "5"]
    script = tmp_path / "train.py"
    script.write_text(BEFORE + match[1] + AFTER)

    alone = coordinate(str(script))
    only = alone.start_ready()
    alone.change(only)
    assert alone.wait_exit(only) == 0, alone.out(only)

    group = coordinate(str(script))
    first, second = group.start_ready(), group.start_ready()
    group.change(first)
    group.change(first, second)
    group.change(second)
    for rank in (first, second):
        assert group.wait_exit(rank) == 0, group.out(rank)

    weights = [torch.load(one.folder / "model.pt") for one in (alone, group)]
    assert all(torch.allclose(weights[0][name], weights[1][name], rtol=0, atol=1e-12) for name in weights[0])
