"""Accuracy against epochs with real gradients, for W workers that train on parts of the data and average.

Fashion-MNIST parts of 20,000, 30,000 and 60,000 images (1 : 1.5 : 3), a 784-64-10 network, SGD without
momentum, batches of 32 per worker. The W logical workers run as one batched multiplication; each keeps its
own part of the data, and all models are averaged after every `average` steps (as `local_sgd` does).
What a switch of W on the way does is the question that the simulator's accuracy model must answer.
Usage: python -m benchmarks.rlpto.curves [--epochs 30] [--out docs/results/rlpto-curves.json]
"""

from __future__ import annotations

import argparse
import gzip
import json
from pathlib import Path

import numpy as np
import torch

from benchmarks.traces import traces

SCHEDULES: dict[str, list[int]] = {
    "1": [1],
    "2": [2],
    "4": [4],
    "8": [8],
    "4 then 1": [4, 1],
    "1 then 4": [1, 4],
}


def fashion() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Training images and labels, test images and labels; pixels 0..1."""
    folder = traces().parent / "images" / "fashion-mnist"

    def idx(name: str, skip: int) -> np.ndarray:
        with gzip.open(next(folder.glob(f"{name}*"))) as file:
            return np.frombuffer(file.read(), np.uint8, offset=skip)

    found = []
    for part in ("train", "t10k"):
        images = idx(f"{part}-images", 16).reshape(-1, 784).astype(np.float32) / 255
        found += [torch.from_numpy(images), torch.from_numpy(idx(f"{part}-labels", 8).astype(np.int64))]
    return found[0], found[1], found[2], found[3]


class Model:
    """W copies of one two-layer network; `average` makes them equal."""

    def __init__(self, hidden: int, generator: torch.Generator) -> None:
        self.shapes = [(784, hidden), (1, hidden), (hidden, 10), (1, 10)]
        self.mean = [
            torch.randn(shape, generator=generator) * (2 / shape[0]) ** 0.5
            if shape[0] > 1
            else torch.zeros(shape)
            for shape in self.shapes
        ]

    def spread(self, workers: int) -> list[torch.Tensor]:
        return [p.expand(workers, *p.shape).clone().requires_grad_() for p in self.mean]

    def average(self, copies: list[torch.Tensor]) -> None:
        self.mean = [p.detach().mean(0) for p in copies]

    def accuracy(self, x: torch.Tensor, y: torch.Tensor) -> float:
        a, b, c, d = self.mean
        return float((((x @ a + b).relu() @ c + d).argmax(1) == y).float().mean())


def train(
    data: tuple[torch.Tensor, ...],
    size: int,
    schedule: list[int],
    epochs: int,
    seed: int,
    average: int,
    rate: float,
) -> list[float]:
    """Test accuracy after each epoch; the schedule's counts share the epochs evenly."""
    x, y, tx, ty = data
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(x), generator=generator)[:size]
    model, found = Model(64, generator), []
    for epoch in range(epochs):
        workers = schedule[min(epoch * len(schedule) // epochs, len(schedule) - 1)]
        parts = chosen[: size // workers * workers].view(
            workers, -1
        )  # each worker's own, the same every epoch
        orders = torch.stack([torch.randperm(parts.shape[1], generator=generator) for _ in range(workers)])
        parts = parts.gather(1, orders)
        copies = model.spread(workers)
        for step, at in enumerate(range(0, parts.shape[1] - 31, 32), 1):
            rows = parts[:, at : at + 32]
            h = torch.baddbmm(copies[1], x[rows], copies[0]).relu()
            out = torch.baddbmm(copies[3], h, copies[2])
            loss = torch.nn.functional.cross_entropy(out.flatten(0, 1), y[rows].flatten()) * workers
            for p, g in zip(copies, torch.autograd.grad(loss, copies), strict=True):
                p.data.sub_(g, alpha=rate)
            if step % average == 0:
                model.average(copies)
                for p, mean in zip(copies, model.mean, strict=True):
                    p.data.copy_(mean)
        model.average(copies)
        found.append(round(model.accuracy(tx, ty), 4))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--sizes", type=int, nargs="+", default=[20_000, 60_000])
    parser.add_argument("--average", type=int, default=10**9, help="steps; by default once an epoch")
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data, found = fashion(), {}
    for size in options.sizes:
        for name, schedule in SCHEDULES.items():
            curve = train(data, size, schedule, options.epochs, 0, options.average, options.rate)
            found[f"{size}, {name}"] = curve
            print(size, name, " ".join(f"{value:.4f}" for value in curve), flush=True)
    if options.out:
        options.out.write_text(
            json.dumps({"settings": vars(options) | {"out": None}, "curves": found}) + "\n"
        )


if __name__ == "__main__":
    main()
