"""Table 1 of the coupled-scheduling paper: adaptive against non-adaptive training on unequal nodes.

    python -m benchmarks.adaptive [--seeds 3] [--load 3]

The paper trains in rounds (train locally, aggregate, communicate) on nodes of different performance and gives
for each way the total seconds of training, aggregation and communication and the number of rounds: 363, 26,
16 s and 24 rounds adaptive; 353, 50, 33 s and 50 rounds otherwise. It names neither model nor data nor nodes.
What makes its adaptive way: data divided by measured performance, more data a round by a load factor, and an
early stop. Here both train the same network (784-128-128-10) on MNIST in `local_sgd` mode with four workers
held to 0.18, 0.18, 0.36 and 0.72 cores:

- non-adaptive: equal shares, as many rounds an epoch as the load factor is, 50 rounds whatever comes of it;
- adaptive: shares by speed, that many times the data in a round (so one round an epoch), and an end by
  `train.Smoothed` on the accuracy of 5,000 held-out images of the training set; at most 50 rounds.

Every round's model is kept and judged on the 10,000 test images afterwards, so that judging costs neither
anything. "Equal accuracy" is the smaller of the two final accuracies (mean of the last three rounds each);
the row `until` of each way ends at the first round from which the mean over three rounds has reached it.

Of a round, training is the longest time a worker took for its own steps (the others wait meanwhile),
communication the shortest time a worker was inside the all-reduce (the last to come waits for nobody), and
aggregation the longest time for the rest: the copy kept for the case of a failure, gathering, weighting and
putting back the tensors. Needs root.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import elastic_group
from benchmarks.images import images
from benchmarks.quotas import limited

PAPER = {"adaptive": (363, 26, 16, 24), "non_adaptive": (353, 50, 33, 50)}
CORES, PINS = (0.18, 0.18, 0.36, 0.72), (0, 0, 0, 1)  # CPU limits, and which core each worker is on
ROUNDS, BATCH, HELD_OUT = 50, 64, 5_000
KNOWN = 60_000 - HELD_OUT
WAYS = ("adaptive", "non_adaptive")
LAST = 3  # rounds over which accuracy is averaged


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--load", type=int, default=3, help="data of an adaptive round over that of another")
    options = parser.parse_args()
    told = []
    for seed in range(options.seeds):
        both = {way: run(way, seed, options.load) for way in WAYS}
        least = min(statistics.mean(rounds["accuracy"][-LAST:]) for rounds in both.values())
        rows = {way: row(rounds, len(rounds["accuracy"])) for way, rounds in both.items()}
        rows |= {
            f"{way}_until": row(rounds, reached(rounds["accuracy"], least)) for way, rounds in both.items()
        }
        told.append(rows)
        print(f"seed {seed}: {json.dumps(rows)}", flush=True)
    print(
        json.dumps(
            {"benchmark": "adaptive", "cores": CORES, "load": options.load, "paper": PAPER, **summary(told)}
        )
    )


def run(way: str, seed: int, load: int) -> dict[str, list[Any]]:
    """Per round: seconds of training, aggregation and communication, and the test accuracy after it."""
    names = {f"worker-{rank}": cores for rank, cores in enumerate(CORES)}
    with tempfile.TemporaryDirectory() as name, limited(names) as groups:
        folder = Path(name)
        elastic_group.start(
            "benchmarks.adaptive", folder, len(CORES), [groups / one for one in names], PINS,
            WAY=way, SEED=str(seed), LOAD=str(load),
        )  # fmt: skip
        workers = [json.loads((folder / f"told-{rank}").read_text()) for rank in range(len(CORES))]
        accuracy = judged(folder)[:ROUNDS]
    rounds = list(zip(*(one["rounds"] for one in workers), strict=True))[:ROUNDS]
    return {
        "training": [max(one["training"] for one in each) for each in rounds],
        "aggregation": [max(one["aggregation"] for one in each) for each in rounds],
        "communication": [min(one["communication"] for one in each) for each in rounds],
        "wall": [max(one["wall"] for one in each) for each in rounds],
        "accuracy": accuracy,
        "samples": [sum(one["samples"] for one in each) for each in rounds],
    }


def row(rounds: dict[str, list[Any]], until: int) -> dict[str, float]:
    """A row of the table over the first `until` rounds."""
    sums = {
        f"{name}_s": round(sum(rounds[name][:until]), 3)
        for name in ("training", "aggregation", "communication", "wall")
    }
    last = rounds["accuracy"][max(until - LAST, 0) : until]
    return {
        "rounds": until,
        **sums,
        "samples": sum(rounds["samples"][:until]),
        "accuracy": statistics.mean(last),
    }


def reached(accuracy: Sequence[float], least: float) -> int:
    """After how many rounds the mean over the last three has reached it."""
    for until in range(LAST, len(accuracy) + 1):
        if statistics.mean(accuracy[until - LAST : until]) >= least:
            return until
    raise AssertionError("the final accuracy is reached by the end")


def summary(told: Sequence[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Means over the seeds, and what is saved."""
    rows = {
        name: {key: round(statistics.mean(one[name][key] for one in told), 4) for key in told[0][name]}
        for name in told[0]
    }

    def exchange(name: str) -> float:
        return rows[name]["aggregation_s"] + rows[name]["communication_s"]

    return {
        "seeds": len(told),
        "rows": rows,
        "aggregation_and_communication_of_non_adaptive": {
            "whole": round(exchange("adaptive") / exchange("non_adaptive"), 3),
            "until": round(exchange("adaptive_until") / exchange("non_adaptive_until"), 3),
            "paper": round((26 + 16) / (50 + 33), 3),
        },
    }


def judged(folder: Path) -> list[float]:
    """The test accuracy of the model kept after each round."""
    import torch

    from trainmaster.train.examples import mnist

    data = mnist.load(images())
    model = network()
    found = []
    for path in sorted(folder.glob("model-*")):
        model.load_state_dict(torch.load(path))
        with torch.no_grad():
            found.append(float((model(data.test_x).argmax(1) == data.test_y).double().mean()))
    return found


def network() -> Any:
    from torch import nn

    return nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))


def worker() -> None:
    import torch
    import torch.nn.functional as F
    from torch.utils.data import TensorDataset

    from trainmaster import train
    from trainmaster.train.communicator import Gloo
    from trainmaster.train.examples import mnist
    from trainmaster.train.modes.local_sgd import LocalSgd
    from trainmaster.train.replica import Replica

    way, seed, folder = os.environ["WAY"], int(os.environ["SEED"]), Path(os.environ["FOLDER"])
    rank = int(os.environ["RANK"])
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    data = mnist.load(images())
    dataset = TensorDataset(data.train_x[HELD_OUT:], data.train_y[HELD_OUT:])
    held_x, held_y = data.train_x[:HELD_OUT], data.train_y[:HELD_OUT]
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    elastic_group.entered()
    rounds: list[dict[str, float]] = []
    inside, copying = [0.0], [0.0]

    def timed_copy(self: Replica, original: Any = Replica.copy) -> list[Any]:
        begin = time.perf_counter()
        states: list[Any] = original(self)
        copying[0] = time.perf_counter() - begin
        return states

    def timed_sum(self: Gloo, values: torch.Tensor, original: Any = Gloo.sum) -> None:
        begin = time.perf_counter()
        original(self, values)
        inside[0] = time.perf_counter() - begin

    def timed_average(self: LocalSgd, *words: Any, original: Any = LocalSgd._average) -> Any:
        counts, spent_s = words[0], words[3]
        begin = time.perf_counter()
        said = original(self, *words)
        whole = time.perf_counter() - begin
        rounds.append(
            {
                "training": spent_s, "communication": inside[0],
                "aggregation": copying[0] + whole - inside[0], "wall": copying[0] + spent_s + whole,
                "samples": counts[rank],
            }
        )  # fmt: skip
        if not rank:
            torch.save(model.state_dict(), folder / f"model-{len(rounds):03d}")
        return said

    Replica.copy = timed_copy  # type: ignore[method-assign]
    Gloo.sum = timed_sum  # type: ignore[method-assign]
    LocalSgd._average = timed_average  # type: ignore[assignment, method-assign]
    adaptive = way == "adaptive"
    load = int(os.environ["LOAD"])
    steps = -(-KNOWN // (load * len(CORES) * BATCH)) * (load if adaptive else 1)
    with train.task(
        seed=seed, mode="local_sgd", average_every=steps, shares="speed" if adaptive else "equal",
        convergence=train.Smoothed() if adaptive else None,
    ) as t:  # fmt: skip
        t.prepare(model, optimizer)
        for _ in t.epochs(ROUNDS if adaptive else -(-ROUNDS // load)):
            for x, y in t.batches(dataset, batch=BATCH):
                loss = F.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            with torch.no_grad():
                t.report(val_accuracy=float((model(held_x).argmax(1) == held_y).double().mean()))
    (folder / f"told-{rank}").write_text(json.dumps({"rounds": rounds}))


if __name__ == "__main__":
    worker() if sys.argv[1:] == ["worker"] else main()
