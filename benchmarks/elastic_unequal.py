"""What shares by measured speed gain over equal shares on nodes of unequal speed.

    python -m benchmarks.elastic_unequal [--steps 30] [--turns 2] [--cases 1:3]

Workers of one native group, each in a control group of its own with a CPU limit, pinned to a core that has
room for all limits on it; the limits of a case are in the given proportions. The network is 784-256-10 and
the global batch 16,384, so that work, not messages, takes the time. Equal shares and shares by speed take
turns, in fresh processes each time. The step time is the median over the second half of the steps, when
shares have settled, and of the turns the mean. The ideal gain is that of work divided exactly by CPU limit,
with nothing else to do: Σq / (k · min q). The bar is 85 % of it. Needs root.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import elastic_group
from benchmarks.quotas import limited

CASES = {  # cores of the workers, and which of the machine's two each is on
    "1:3": ((0.3, 0.9), (0, 1)),
    "1:1:3": ((0.28, 0.28, 0.84), (0, 0, 1)),
    "1:1:2:4": ((0.18, 0.18, 0.36, 0.72), (0, 0, 0, 1)),
    "3:3:1": ((0.75, 0.75, 0.25), (0, 1, 1)),
    "4:4:2:1": ((0.6, 0.6, 0.3, 0.15), (0, 1, 0, 1)),
}
BATCH = 16_384


class Run(NamedTuple):
    step_s: float
    samples: list[int]  # of each worker, in the last step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--turns", type=int, default=2, help="runs of each kind")
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=CASES)
    options = parser.parse_args()
    found = {}
    for case in options.cases:
        cores, pins = CASES[case]
        runs = [
            [run(cores, pins, kind, options.steps) for kind in ("equal", "speed")]
            for _ in range(options.turns)
        ]
        equal, speed = (statistics.mean(run.step_s for run in kind) for kind in zip(*runs, strict=True))
        gain, ideal = equal / speed, sum(cores) / len(cores) / min(cores)
        found[case] = {
            "cores": cores,
            "equal_ms": round(equal * 1e3, 1),
            "by_speed_ms": round(speed * 1e3, 1),
            "samples": [by_speed.samples for _, by_speed in runs],
            "gains": [round(a.step_s / b.step_s, 3) for a, b in runs],
            "gain": round(gain, 3),
            "ideal": round(ideal, 3),
            "of_ideal_percent": round(100 * gain / ideal, 1),
            "of_what_can_be_gained_percent": round(100 * (gain - 1) / (ideal - 1), 1),
        }
        print(f"{case}: {json.dumps(found[case])}", flush=True)
    print(json.dumps({"benchmark": "elastic_unequal", "batch": BATCH, "cases": found}))


def run(cores: Sequence[float], pins: Sequence[int], shares: str, steps: int) -> Run:
    """The settled step time of a group and how its last whole batch was divided."""
    names = {f"worker-{rank}": number for rank, number in enumerate(cores)}
    with tempfile.TemporaryDirectory() as name, limited(names) as groups:
        elastic_group.start(
            "benchmarks.elastic_unequal", Path(name), len(cores), [groups / one for one in names], pins,
            SHARES=shares, STEPS=str(steps),
        )  # fmt: skip
        told = [json.loads((Path(name) / f"told-{rank}").read_text()) for rank in range(len(cores))]
    return Run(told[0]["step_s"], [one["samples"] for one in told])


def worker() -> None:
    import torch
    import torch.nn.functional as F
    from torch import nn
    from torch.utils.data import TensorDataset

    from trainmaster import train

    torch.set_num_threads(1)
    size, limit = BATCH * 2, int(os.environ["STEPS"])
    dataset = TensorDataset(torch.randn(size, 784), torch.randint(0, 10, (size,)))
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    elastic_group.entered()
    times, samples = [], []
    with train.task(shares=os.environ["SHARES"], max_steps=limit) as t:
        t.prepare(model, optimizer)
        for _ in t.epochs(limit):
            for x, y in t.batches(dataset, batch=BATCH):
                loss = F.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                times.append(time.perf_counter())
                samples.append(len(t.indices))
    steps = [after - before for before, after in itertools.pairwise(times)][limit // 2 :]
    told = {"step_s": statistics.median(steps), "samples": samples[-1]}
    (Path(os.environ["FOLDER"]) / f"told-{os.environ['RANK']}").write_text(json.dumps(told))


if __name__ == "__main__":
    worker() if sys.argv[1:] == ["worker"] else main()
