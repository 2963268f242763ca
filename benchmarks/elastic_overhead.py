"""Step time of the native group against plain DistributedDataParallel, two workers, one run.

    python -m benchmarks.elastic_overhead [--starts 3] [--pairs 20] [--device cuda]

A network (784-256-10) on random data, a global batch of 256, gloo, one thread a worker; with `--device cuda`
a GPU for each worker and NCCL, for both. The same two
processes train by both, in blocks of 100 steps that take turns, so both find the same machine; new processes
are started some times over. The figure is the median, over all pairs of neighbouring blocks, of the ratio of
their median step times, with its 95 % confidence interval (of the median, by order statistics). The bar is
1.10. `--profile` prints instead where the native group's step goes, by function.
"""

from __future__ import annotations

import argparse
import cProfile
import itertools
import json
import math
import os
import pstats
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import elastic_group

STEPS, BATCH, WORKERS = 100, 256, 2  # steps: of a block
UNSETTLED = 10  # first steps of a block that do not count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=3, help="how often new processes are started")
    parser.add_argument("--pairs", type=int, default=20, help="pairs of blocks of each")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    ratios: list[float] = []
    plain: list[float] = []
    for number in range(options.starts):
        with tempfile.TemporaryDirectory() as name, socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
            free.close()
            profile = "1" if options.profile else ""
            elastic_group.start(
                "benchmarks.elastic_overhead", Path(name), WORKERS, MASTER_PORT=port,
                PAIRS=str(options.pairs), PROFILE=profile, DEVICE=options.device,
            )  # fmt: skip
            blocks = json.loads((Path(name) / "blocks").read_text())
        pairs = list(zip(blocks["ddp"], blocks["group"], strict=True))
        ratios += [group / ddp for ddp, group in pairs]
        plain += blocks["ddp"]
        mine = statistics.median(group / ddp for ddp, group in pairs)
        print(
            f"start {number}: DDP {statistics.median(blocks['ddp']) * 1e3:.2f} ms, ratio {mine:.3f}",
            flush=True,
        )
    low, high = interval(ratios)
    print(
        json.dumps(
            {
                "pairs": len(ratios),
                "ddp_ms": round(statistics.median(plain) * 1e3, 3),
                "ratio": round(statistics.median(ratios), 3),
                "interval": [round(low, 3), round(high, 3)],
            }
        )
    )


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % confidence interval of the median, between two of the values (normal approximation)."""
    ordered, n = sorted(values), len(values)
    reach = 1.96 * math.sqrt(n) / 2
    return ordered[max(math.floor(n / 2 - reach), 0)], ordered[min(math.ceil(n / 2 + reach), n - 1)]


def worker() -> None:
    import torch
    import torch.nn.functional as F
    from torch import nn
    from torch.utils.data import TensorDataset

    from trainmaster import train

    torch.set_num_threads(1)
    torch.manual_seed(0)
    rank, part = int(os.environ["RANK"]), BATCH // WORKERS
    device, backend = torch.device("cpu"), "gloo"
    if os.environ["DEVICE"] == "cuda":
        device, backend = torch.device("cuda", rank), "nccl"
        torch.cuda.set_device(device)
    dataset = TensorDataset(
        torch.randn(BATCH * STEPS, 784, device=device), torch.randint(0, 10, (BATCH * STEPS,), device=device)
    )
    torch.distributed.init_process_group(backend)

    def network() -> tuple[nn.Module, torch.optim.Optimizer]:
        model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10)).to(device)
        return model, torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    times: list[float] = []
    blocks: dict[str, list[float]] = {"ddp": [], "group": []}

    def step(model: Any, optimizer: Any, x: torch.Tensor, y: torch.Tensor) -> None:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter())

    def block(kind: str) -> None:
        steps = [after - before for before, after in itertools.pairwise(times)][UNSETTLED:]
        blocks[kind].append(statistics.median(steps))
        times.clear()

    ours, by = network()
    inner, plain_by = network()
    plain = nn.parallel.DistributedDataParallel(inner)

    def train_plain() -> None:
        order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))
        for index in range(STEPS):
            first = index * BATCH + rank * part
            x, y = (tensor[order[first : first + part]] for tensor in dataset.tensors)
            step(plain, plain_by, x, y)
        block("ddp")

    profile = cProfile.Profile()
    with train.task() as t:
        t.prepare(ours, by)
        for epoch in t.epochs(1 + int(os.environ["PAIRS"])):
            train_plain()
            if os.environ["PROFILE"]:
                profile.enable()
            for x, y in t.batches(dataset, batch=BATCH):
                step(ours, by, x, y)
            profile.disable()
            block("group")
            if not epoch:  # DDP builds its buckets anew, both meet fresh memory
                for values in blocks.values():
                    values.clear()
    torch.distributed.destroy_process_group()
    if not rank:
        if os.environ["PROFILE"]:
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        (Path(os.environ["FOLDER"]) / "blocks").write_text(json.dumps(blocks))


if __name__ == "__main__":
    worker() if sys.argv[1:] == ["worker"] else main()
