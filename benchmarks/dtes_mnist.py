"""DTES, Table 3, on MNIST itself: the profile `default` with elastic workers against fixed ones in turn.

    python -m benchmarks.dtes_mnist [--rounds 0 1 2] [--each 3] [--fixed 1 3] [--records FILE]

The paper trains MNIST classifiers with one, two and three hidden layers, each task in one container, and
gives the mean time per task with and without DTES: 786/2424/4309 against 1031/3217/5610 s (23.8 % less).
Here: the same three kinds of network on the 60,000 images, with epochs such that alone on one node they
take times in the paper's proportions, on three equal nodes as in the paper: logical nodes of one machine,
each held to its cores by a control group, with room for one worker each.

- `elastic`: the profile `default`, tasks of 1..3 workers; how many each has changes as tasks come and end.
- `fixed_N`: tasks of N workers, first come first served (`fcfs`, `fixed`, no preemption), else the same.

Every step trains on 4,096 images, so that it takes much longer than the messages of a step of three workers.
Both run the same script, start from the same warm interpreters and train the same epochs on the same global
batches. Tasks arrive at seeded random moments, the same ones for every way; a time is from submission to the
end. Every round plays one stream of arrivals under each way on the same running service. What was measured
is kept in `--records`, and told together with what that file held: rounds can be measured one by one. Needs
root.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.live import SOURCE, Live, wait_until

from benchmarks.arrivals import arrivals
from benchmarks.images import images
from benchmarks.quotas import limited

PAPER = {"with DTES": (786, 2424, 4309), "without": (1031, 3217, 5610)}
NODES, CORES = 3, 0.55  # cores of each node; the rest of two is left to the service
BATCH = 4096
EPOCHS = {1: 4, 2: 13, 3: 20}
EVERY_S = 7.7  # mean time between arrivals: 64 % of what the nodes could do
FIXED = {"ordering": "fcfs", "allotment": "fixed", "placement": "least_loaded", "preemption": "none"}
SCRIPT = """
import os, sys
from pathlib import Path
with open(f"{os.environ['QUOTAS']}/{os.environ['TRAINMASTER_NODE']}/cgroup.procs", "w") as group:
    group.write(str(os.getpid()))
import torch
import torch.nn.functional as F
from torch import nn
from trainmaster import train

torch.set_num_threads(1)
hidden, epochs, seed = map(int, sys.argv[1:4])
torch.manual_seed(seed)
stored = torch.load(sys.argv[4], mmap=True)
dataset = torch.utils.data.TensorDataset(stored["train_x"], stored["train_y"])
sizes = [784] + [128] * hidden
layers = [part for a, b in zip(sizes, sizes[1:]) for part in (nn.Linear(a, b), nn.ReLU())]
model = nn.Sequential(*layers, nn.Linear(128, 10))
opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
with train.task(seed=seed) as t:
    model, opt = t.prepare(model, opt)
    for epoch in t.epochs(max_epochs=epochs):
        for x, y in t.batches(dataset, batch=int(sys.argv[5])):
            loss = F.cross_entropy(model(x.float() / 255), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
        t.report(loss=loss)
    if t.is_leader:
        with torch.no_grad():
            right = model(stored["test_x"].float() / 255).argmax(1) == stored["test_y"]
        print("accuracy", float(right.double().mean()), flush=True)
"""


class Bench:
    """One running service and what it is asked to do."""

    def __init__(self, service: Live, folder: Path, quotas: Path) -> None:
        self._client = service.client()
        self._ended = lambda: service.ended(self._client)
        self._folder = folder
        self._quotas = quotas

    def play(self, way: str, stream: Sequence[tuple[float, int]]) -> list[dict[str, object]]:
        """Submit the stream and wait for the last end; one record per task."""
        profile = "default" if way == "elastic" else "fixed"
        # `fixed` gives the least; the most only says that siblings may come, so that all start warm.
        workers = "1..3" if way == "elastic" else f"{way.removeprefix('fixed_')}..{NODES}"
        self._client.put("/v1/profile", json={"name": profile}).raise_for_status()
        began, tasks = time.monotonic(), []
        for number, (at, hidden) in enumerate(stream):
            time.sleep(max(began + at - time.monotonic(), 0.0))
            tasks.append((hidden, self._submit(hidden, number, workers)))
        wait_until(self._ended, "all trainings end", 900, 0.25)
        return [self._record(way, hidden, task) for hidden, task in tasks]

    def _submit(self, hidden: int, seed: int, workers: str) -> str:
        numbers = (hidden, EPOCHS[hidden], seed, self._folder / "mnist.pt", BATCH)
        body = {
            "command": [sys.executable, "train.py", *map(str, numbers)],
            "directory": str(self._folder),
            "environment": {"PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", "QUOTAS": str(self._quotas)},
            "cpus": CORES,
            "workers": workers,
            "name": f"mnist-{hidden}",
        }
        return str(self._client.post("/v1/tasks", json=body).raise_for_status().json()["id"])

    def _record(self, way: str, hidden: int, task: str) -> dict[str, object]:
        told = self._client.get(f"/v1/tasks/{task}").json()
        assert told["state"] == "SUCCEEDED", told["reason"]
        lines = self._client.get(f"/v1/tasks/{task}/logs").json()["lines"]
        accuracy = next(float(x["text"].split()[1]) for x in lines if x["text"].startswith("accuracy"))
        events = self._client.get(f"/v1/tasks/{task}/events", params={"limit": 1000}).json()["events"]
        return {
            "way": way,
            "hidden": hidden,
            "seconds": told["ended_at"] - told["submitted_at"],
            "waited": told["first_started_at"] - told["submitted_at"],
            "accuracy": accuracy,
            "resizes": sum(event["kind"] == "task-resized" for event in events),
        }


def measure(
    rounds: Sequence[int], each: int, fixed: Sequence[int], alone: bool, kept: Path | None
) -> tuple[list[dict[str, object]], dict[str, list[float]]]:
    """One record per task, and the seconds of each kind with nothing else running, by workers. What is
    measured is added to the file `kept` at once."""
    import torch

    from trainmaster.train.examples import mnist

    ways = ["elastic", *(f"fixed_{workers}" for workers in fixed)]
    names = {f"node-{number}": CORES for number in range(1, NODES + 1)}
    records: list[dict[str, object]] = []
    lonely: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name, limited(names) as quotas:
        folder = Path(name)
        data = mnist.load(images())
        stored = {"train_y": data.train_y, "test_y": data.test_y}
        stored |= {key: (getattr(data, key) * 255).round().byte() for key in ("train_x", "test_x")}
        torch.save(stored, folder / "mnist.pt")
        (folder / "train.py").write_text(SCRIPT)
        service = Live(
            folder / "data", leave_running=False, nodes=NODES, cores=CORES * NODES, profile="default",
            profiles={"fixed": FIXED}, containers=False,
        )  # fmt: skip
        service.start()
        try:
            bench = Bench(service, folder, quotas)
            bench.play("elastic", [(0.0, 1)])  # the interpreters become warm
            warm = (folder / "data").glob
            wait_until(lambda: any(warm("forkserver-python-*.sock")), "they are warm", 120, 0.1)
            if alone:
                for workers in range(1, NODES + 1):
                    played = [bench.play(f"fixed_{workers}", [(0.0, hidden)])[0] for hidden in EPOCHS]
                    lonely[str(workers)] = [round(float(str(one["seconds"])), 2) for one in played]
                    print(f"alone with {workers}: {lonely[str(workers)]} s", file=sys.stderr, flush=True)
            for number in rounds:
                turn = number % len(ways)
                for way in ways[turn:] + ways[:turn]:
                    played = bench.play(way, arrivals(number, each, EPOCHS, EVERY_S))
                    records += [{"round": number, **record} for record in played]
                    if kept is not None:
                        with kept.open("a") as file:
                            file.writelines(f"{json.dumps(one)}\n" for one in records[-len(played) :])
                    mean = statistics.mean(float(str(r["seconds"])) for r in played)
                    print(f"round {number} {way}: mean {mean:.1f} s", file=sys.stderr, flush=True)
        finally:
            service.stop()
    return records, lonely


def summary(records: Sequence[dict[str, object]]) -> dict[str, object]:
    def mean(key: str, **only: object) -> float:
        return statistics.mean(
            float(str(record[key])) for record in records if all(record[k] == v for k, v in only.items())
        )

    def less(baseline: str, **only: object) -> float:
        ours, theirs = (mean("seconds", way=way, **only) for way in ("elastic", baseline))
        return round(100 * (1 - ours / theirs), 1)

    ways = list(dict.fromkeys(str(record["way"]) for record in records))
    ways.sort()
    rounds = sorted({int(str(record["round"])) for record in records})
    with_, without = PAPER["with DTES"], PAPER["without"]
    return {
        "benchmark": "dtes_mnist",
        "columns": ["1 hidden layer", "2 hidden layers", "3 hidden layers"],
        "paper_s": PAPER,
        "paper_less_percent": [round(100 * (1 - a / b), 1) for a, b in zip(with_, without, strict=True)],
        "ours_s": {way: [round(mean("seconds", way=way, hidden=h), 2) for h in EPOCHS] for way in ways},
        "accuracy": {way: [round(mean("accuracy", way=way, hidden=h), 4) for h in EPOCHS] for way in ways},
        "waited_s": {way: round(mean("waited", way=way), 2) for way in ways},
        "waited_most_s": {
            way: round(max(float(str(r["waited"])) for r in records if r["way"] == way), 2) for way in ways
        },
        "resizes_a_task": {way: round(mean("resizes", way=way), 2) for way in ways},
        "less_percent_than": {w: [less(w, hidden=h) for h in EPOCHS] for w in ways if w != "elastic"},
        "mean_s": {way: round(mean("seconds", way=way), 2) for way in ways},
        "mean_less_percent_than": {way: less(way) for way in ways if way != "elastic"},
        "mean_less_percent_by_round": {
            way: [less(way, round=number) for number in rounds] for way in ways if way != "elastic"
        },
        "tasks_a_way": len(records) // len(ways),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, nargs="*", default=[0, 1, 2], help="seeds of the streams")
    parser.add_argument("--each", type=int, default=3, help="tasks of each kind in one stream")
    parser.add_argument("--fixed", type=int, nargs="+", default=[1], help="workers of the fixed tasks")
    parser.add_argument("--alone", action="store_true", help="time each kind alone with 1, 2, 3 workers too")
    parser.add_argument("--records", type=Path, help="a file of records, one a line: read, and added to")
    options = parser.parse_args()
    kept: Path | None = options.records
    earlier = [json.loads(line) for line in kept.read_text().splitlines()] if kept and kept.exists() else []
    records, lonely = measure(options.rounds, options.each, options.fixed, options.alone, kept)
    records = earlier + records
    print(json.dumps({"alone_s": lonely} | (summary(records) if records else {})))


if __name__ == "__main__":
    main()
