"""Trains a network with one, two or three hidden layers on the handwritten digits that scikit-learn ships.

    python -m trainmaster.train.examples.digits_mlp --hidden 2 --epochs 20

Plain PyTorch. Two things make it a good citizen of a cluster: it reports how it goes, and when it is told
to leave (SIGTERM) it saves its state within a second, so that the next start goes on in the middle of the
epoch and ends with exactly the network it would have had without the interruption.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import nn

from trainmaster.train import report

BATCH = 64
TEST_PART = 5  # every fifth picture is kept for the test
TERMINATED = 128 + signal.SIGTERM


class Leaving:
    """Whether we were told to go. A plain flag: a `threading.Event` set by a signal handler waits for ever if
    the signal comes while the same thread is inside its `wait`."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, *_: object) -> None:
        self.asked = True

    def within(self, seconds: float) -> bool:
        """Wait so long, or a little longer than until told to go. True if we are."""
        until = time.perf_counter() + seconds
        while not self.asked and (left := until - time.perf_counter()) > 0:
            time.sleep(min(left, 0.02))
        return self.asked


class Training:
    """A network, its optimizer and how far it has come: all that a checkpoint holds."""

    def __init__(self, options: argparse.Namespace) -> None:
        torch.manual_seed(options.seed)
        self.options = options
        sizes = [64] + [options.width] * options.hidden
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.network = nn.Sequential(*layers, nn.Linear(sizes[-1], 10))
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=options.lr, momentum=0.9)
        self.epoch = 0  # finished ones
        self.batch = 0  # finished ones of the epoch under way
        self.loss_sum = 0.0  # of these
        digits = load_digits()
        pictures = torch.tensor(digits.data / 16.0, dtype=torch.float32)
        labels = torch.tensor(digits.target, dtype=torch.int64)
        test = torch.arange(len(labels)) % TEST_PART == 0
        self.pictures, self.labels = pictures[~test], labels[~test]
        self.test_pictures, self.test_labels = pictures[test], labels[test]

    def run_epoch(self, leaving: Leaving) -> bool:
        """Train to the end of the epoch under way. False if it left before."""
        # The order depends on the seed and the epoch alone, so a resumed epoch knows which batches are left.
        chance = torch.Generator().manual_seed(self.options.seed * 100_003 + self.epoch)
        order = torch.randperm(len(self.labels), generator=chance)
        for first in range(self.batch * BATCH, len(order), BATCH):
            if leaving.within(self.options.step_delay):
                return False
            chosen = order[first : first + BATCH]
            loss = nn.functional.cross_entropy(self.network(self.pictures[chosen]), self.labels[chosen])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.loss_sum += float(loss.detach())
            self.batch += 1
        self.loss = self.loss_sum / self.batch
        self.epoch, self.batch, self.loss_sum = self.epoch + 1, 0, 0.0
        return True

    def accuracy(self) -> float:
        """Part of the test pictures it names right, 0..1."""
        with torch.no_grad():
            right = self.network(self.test_pictures).argmax(1) == self.test_labels
        return float(right.float().mean())

    def save(self, path: Path) -> None:
        """Replace the checkpoint at once as a whole: a kill in the middle leaves the one before."""
        state = {
            "shape": self._shape(),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "at": [self.epoch, self.batch, self.loss_sum],
        }
        new = path.with_name(f"{path.name}.{os.getpid()}.new")
        torch.save(state, new)
        new.replace(path)

    def resume(self, path: Path) -> bool:
        """Take over a checkpoint. False if there is none, or one of another network."""
        try:
            state: dict[str, Any] = torch.load(path, weights_only=True)
        except FileNotFoundError:
            return False
        except Exception as error:  # whatever a damaged file makes torch raise
            print(f"checkpoint {path} cannot be read ({error}); starting afresh", flush=True)
            return False
        if state.get("shape") != self._shape():
            print(f"checkpoint {path} is of another network; starting afresh", flush=True)
            return False
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.epoch, self.batch, self.loss_sum = state["at"]
        return True

    def _shape(self) -> list[int]:
        return [self.options.hidden, self.options.width, self.options.seed]


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a network on handwritten digits.")
    parser.add_argument("--hidden", type=int, default=1, choices=(1, 2, 3), help="hidden layers")
    parser.add_argument("--width", type=int, default=64, help="neurons of a hidden layer")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--lr", type=float, default=0.05, help="learning rate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--step-delay", type=float, default=0.0, help="seconds to wait before each batch")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Train, report, save. Returns the exit code: 143 if it was told to leave before the end."""
    options = parse(words)
    torch.set_num_threads(1)
    training = Training(options)
    folder = os.environ.get("TRAINMASTER_CHECKPOINT_DIR")
    checkpoint = Path(folder) / "digits_mlp.pt" if folder else None
    print(
        f"{options.hidden} hidden, {sum(p.numel() for p in training.network.parameters())} weights",
        flush=True,
    )
    if checkpoint is not None:
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        if training.resume(checkpoint):
            print(f"resumed after epoch {training.epoch}, batch {training.batch}", flush=True)
    leaving = Leaving()
    # Only now: before there is anything to save, the signal's own way of ending us is the fastest.
    signal.signal(signal.SIGTERM, leaving.ask)
    while training.epoch < options.epochs:
        began, first = time.perf_counter(), training.batch
        whole = training.run_epoch(leaving)
        if checkpoint is not None:
            training.save(checkpoint)
        if not whole:
            print(f"told to leave in epoch {training.epoch + 1}, batch {training.batch}", flush=True)
            return TERMINATED
        passed_s = time.perf_counter() - began
        speed = max(len(training.labels) - first * BATCH, 0) / passed_s
        accuracy = training.accuracy()
        report(
            step=training.epoch,
            epoch=training.epoch,
            loss=training.loss,
            accuracy=accuracy,
            samples_per_s=speed,
        )
        print(
            f"epoch {training.epoch}/{options.epochs}  loss {training.loss:.4f}  "
            f"accuracy {accuracy:.4f}  {speed:.0f} samples/s",
            flush=True,
        )
    print(f"done: accuracy {training.accuracy():.4f}", flush=True)
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # everything is saved; taking torch apart in good order may cost a second
