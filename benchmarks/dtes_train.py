"""One training of the benchmark `dtes`: a classifier of digits with one, two or three hidden layers.

    python -m benchmarks.dtes_train --data digits.npz --hidden 2 --epochs 20

Plain mini-batch gradient descent on softmax cross-entropy, in NumPy, which starts in 0.1 s: importing torch
takes longer than these trainings, and then a benchmark of placement measures imports.
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np

BATCH = 64
RATE = 0.05


def forward(x: np.ndarray, layers: list[list[np.ndarray]]) -> list[np.ndarray]:
    """What every layer puts out, (pictures, neurons) each: the input first, the logits last."""
    out = [x]
    for number, (weights, bias) in enumerate(layers, 1):
        x = x @ weights + bias
        if number < len(layers):
            x = np.maximum(x, 0)
        out.append(x)
    return out


def descend(x: np.ndarray, labels: np.ndarray, layers: list[list[np.ndarray]]) -> None:
    """One step down the gradient of a batch: `x` (pictures, 64), `labels` (pictures,)."""
    out = forward(x, layers)
    odds = np.exp(out[-1] - out[-1].max(1, keepdims=True))
    slope = odds / odds.sum(1, keepdims=True)
    slope[np.arange(len(labels)), labels] -= 1
    slope /= len(labels)
    for before, layer in zip(reversed(out[:-1]), reversed(layers), strict=True):
        weights, bias = layer
        gradient, shift = before.T @ slope, slope.sum(0)
        slope = (slope @ weights.T) * (before > 0)
        weights -= RATE * gradient
        bias -= RATE * shift


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--hidden", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with np.load(options.data) as data:
        x, labels = data["x"], data["y"]
    test = np.arange(len(labels)) % 5 == 0
    chance = np.random.default_rng(options.seed)
    sizes = [x.shape[1]] + [options.width] * options.hidden + [10]
    layers = [
        [chance.normal(0, (2 / a) ** 0.5, (a, b)).astype(np.float32), np.zeros(b, np.float32)]
        for a, b in itertools.pairwise(sizes)
    ]
    known = np.flatnonzero(~test)
    for _ in range(options.epochs):
        order = chance.permutation(known)
        for first in range(0, len(order), BATCH):
            batch = order[first : first + BATCH]
            descend(x[batch], labels[batch], layers)
    right = float((forward(x[test], layers)[-1].argmax(1) == labels[test]).mean())
    print(f"{options.hidden} hidden, {options.epochs} epochs: accuracy {right:.4f}")
    assert right > 0.9, "it did not learn"


if __name__ == "__main__":
    main()
