"""Step time of the native group against plain DistributedDataParallel, two workers, one run.

    python -m benchmarks.elastic_overhead

A network (784-256-10) on random data, a global batch of 256, gloo, one thread a worker. Rounds take turns;
the figure is the median over rounds of the ratio of median step times. The bar is 1.10.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS, STEPS, BATCH, WORKERS = 3, 400, 256, 2


def main() -> None:
    ratios = []
    for _ in range(ROUNDS):
        plain, ours = _round("ddp"), _round("group")
        ratios.append(ours / plain)
        print(f"DDP {plain * 1e3:.2f} ms, group {ours * 1e3:.2f} ms, ratio {ours / plain:.3f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.3f} (bar 1.10)")


def _round(kind: str) -> float:
    """Median step time of worker 0 in seconds."""
    with tempfile.TemporaryDirectory() as name, socket.socket() as free:
        folder = Path(name)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        workers = []
        for rank in range(WORKERS):
            env = {
                **os.environ, "OMP_NUM_THREADS": "1", "KIND": kind, "OUT": str(folder / f"out-{rank}"),
                "RANK": str(rank), "WORLD_SIZE": str(WORKERS), "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": str(port),
            }  # fmt: skip
            if kind == "group":
                env |= {
                    "TRAINMASTER_GROUP": name,
                    "TRAINMASTER_RANK": str(rank),
                    "TRAINMASTER_REPORT": str(folder / f"report-{rank}"),
                }
            workers.append(subprocess.Popen([sys.executable, "-m", __spec__.name, "worker"], env=env))
        if kind == "group":
            _plan(folder)
        for worker in workers:
            if worker.wait(120):
                raise SystemExit(f"a {kind} worker failed")
        return float((folder / "out-0").read_text())


def _plan(folder: Path) -> None:
    reports = [folder / f"report-{rank}" for rank in range(WORKERS)]
    while not all(path.exists() and path.read_text().endswith("\n") for path in reports):
        time.sleep(0.01)
    store = json.loads(reports[0].read_text().splitlines()[0])["store"]
    plan = {"generation": 1, "members": list(range(WORKERS)), "store": store}
    (folder / "part").write_text(json.dumps(plan))
    (folder / "part").rename(folder / "plan")


def worker() -> None:
    import torch
    import torch.nn.functional as F
    from torch import nn
    from torch.utils.data import TensorDataset

    torch.set_num_threads(1)
    torch.manual_seed(0)
    dataset = TensorDataset(torch.randn(BATCH * 100, 784), torch.randint(0, 10, (BATCH * 100,)))
    model: nn.Module = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    times = [time.perf_counter()]

    def train(x: torch.Tensor, y: torch.Tensor) -> None:
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        times.append(time.perf_counter())

    if os.environ["KIND"] == "ddp":
        torch.distributed.init_process_group("gloo")
        model = nn.parallel.DistributedDataParallel(model)
        rank, part = int(os.environ["RANK"]), BATCH // WORKERS
        for _ in range(STEPS // 100):
            order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))
            for index in range(100):
                first = index * BATCH + rank * part
                x, y = (tensor[order[first : first + part]] for tensor in dataset.tensors)
                train(x, y)
        torch.distributed.destroy_process_group()
    else:
        from trainmaster import train as elastic

        with elastic.task() as t:
            t.prepare(model, optimizer)
            for _ in t.epochs(STEPS // 100):
                for x, y in t.batches(dataset, batch=BATCH):
                    train(x, y)
    steps = sorted(after - before for before, after in itertools.pairwise(times[20:]))
    Path(os.environ["OUT"]).write_text(str(steps[len(steps) // 2]))


if __name__ == "__main__":
    worker() if sys.argv[1:] == ["worker"] else main()
