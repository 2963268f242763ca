"""One task: a classifier of a part of Fashion-MNIST, models averaged between its workers (`local_sgd`).

Run by Trainmaster as `python task.py SETTINGS`, a JSON object: see `world.Settings`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import TensorDataset

from trainmaster import train
from trainmaster.policies.convergence import settled
from trainmaster.train.convergence import Phase

MEAN, SPREAD = 0.286, 0.353  # of the pixels
KEPT = 0.7  # weight of the past epochs in the model whose accuracy is told: single epochs scatter by a point
WINDOW = 5  # epochs over which stop(β) takes the mean increase, as in the simulated experiment


class Stop:
    """stop(β), or a target of accuracy, or both: the simulated experiment's rules on true accuracies."""

    metric = "accuracy"
    ends = True

    def __init__(self, beta: float | None, target: float | None) -> None:
        self.beta, self.target = beta, target

    def phase(self, values: Sequence[float]) -> Phase:
        reached = self.target is not None and bool(values) and values[-1] >= self.target
        still = self.beta is not None and settled(values, self.beta, WINDOW)
        return Phase.FINISHED if reached or still else Phase.TRAINING


def main() -> None:
    settings = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    folder = Path(settings["folder"])

    def part(name: str, chosen: slice | np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = np.load(folder / f"{name}-x.npy", mmap_mode="r")[chosen]
        labels = np.load(folder / f"{name}-y.npy")[chosen]
        return torch.from_numpy((pixels.astype(np.float32) / 255 - MEAN) / SPREAD), torch.from_numpy(
            labels.astype(np.int64)
        )

    seed = settings["seed"]
    chosen = np.random.default_rng(seed).permutation(60_000)[: settings["samples"]]
    dataset = TensorDataset(*part("train", chosen))
    test: tuple[torch.Tensor, torch.Tensor] | None = None
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(784, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=settings["rate"])
    told = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(KEPT))
    rule = Stop(settings["beta"], settings["target"])
    with train.task(
        seed=seed, mode="local_sgd", average_every=settings["every"], convergence=rule, checkpoint_s=1e9
    ) as t:
        t.prepare(model, told, optimizer)
        for _ in t.epochs(settings["epochs"]):
            for x, y in t.batches(dataset, batch=settings["batch"]):
                loss = torch.nn.functional.cross_entropy(model(x), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                if settings["sample_s"]:  # on the wall clock: as long as the model of speed says
                    time.sleep(len(x) * settings["sample_s"][t.size - 1])
            told.update_parameters(model)
            if t.is_leader:
                test = test or part("t10k", slice(None))
                with torch.no_grad():
                    out = told(test[0])
                    right = float((out.argmax(1) == test[1]).float().mean())
                    t.report(accuracy=right, loss=torch.nn.functional.cross_entropy(out, test[1]))


if __name__ == "__main__":
    main()
