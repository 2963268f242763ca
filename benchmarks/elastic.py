"""How fast an elastic group changes under a real service: a worker more, and a worker killed.

    python -m benchmarks.elastic [--rounds 10]

One service with one node, the small network (784-256-10, global batch 256, one thread a worker) on so little
data (2560 samples) that making it does not count.
A round: resize from 2 to 3 workers, KILL the newest, back to 2. Figures, medians over the rounds, in seconds:

- `grow_s`: from the request to the word `joined` of the newcomer (bar 0.3); `ready_s` until its `ready`
- `stall_s`: the longest gap between two steps of the leader around the change (bar 0.1)
- `killed_s`: from the KILL to the next `joined` of the last survivor (bar 0.3)

`cold_s` is the same growth without the warm interpreter, once. Prints one JSON object as its last line.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.live import Live, wait_until

_ROUNDS_A_TASK = 3  # more workers that die in a row end an attempt
SCRIPT = """
import os, time
import torch
import torch.nn.functional as F
from torch.utils.data import TensorDataset
from trainmaster import train

torch.set_num_threads(1)
dataset = TensorDataset(torch.randn(2560, 784), torch.randint(0, 10, (2560,)))
model = torch.nn.Sequential(torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
opt = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
with train.task() as t, open(f"steps-{os.environ['TRAINMASTER_RANK']}", "a", buffering=1) as steps:
    t.prepare(model, opt)
    for _ in t.epochs(100000):
        for x, y in t.batches(dataset, batch=256):
            loss = F.cross_entropy(model(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            steps.write(f"{time.time()}\\n")
"""


class Group:
    """A training under the service, seen through the files on its node."""

    def __init__(self, live: Live, folder: Path) -> None:
        self.client = live.client()
        self.data = live.data
        self.folder = folder
        source = str(Path(__file__).parents[1] / "src")
        answer = self.client.post(
            "/v1/tasks",
            json={
                "name": "elastic",
                "command": [sys.executable, "train.py"],
                "directory": str(folder),
                "environment": {"PYTHONPATH": source},
                "workers": "2..3",
                "cpus": 0.5,
            },
        )
        assert answer.status_code < 300, answer.text
        self.task = answer.json()["id"]

    def said(self, kind: str) -> list[dict[str, Any]]:
        """All lines of that kind of all workers, with their rank."""
        found = []
        for path in self.data.glob(f"nodes/*/runs/{self.task}.*/progress.jsonl"):
            rank = int(path.parent.name.rpartition(".")[2])
            whole = [text for text in path.read_text().splitlines(keepends=True) if text.endswith("\n")]
            found += [json.loads(text) | {"rank": rank} for text in whole if f'"group":"{kind}"' in text]
        return found

    def joined(self, workers: int, after: float) -> dict[int, float] | None:
        """When the members of the first generation of `workers` joined it, all of them after `after`."""
        found: dict[int, list[tuple[int, float]]] = {}
        for line in self.said("joined"):
            if line["t"] > after:
                found.setdefault(line["generation"], []).append((line["rank"], line["t"]))
        whole = [number for number, members in found.items() if len(members) == workers]
        return dict(found[min(whole)]) if whole else None

    def resize(self, workers: int) -> float:
        begin = time.time()
        answer = self.client.post(f"/v1/tasks/{self.task}/resize", json={"workers": workers})
        assert answer.status_code < 300, answer.text
        return begin

    def settle(self, workers: int) -> None:
        """Wait until it trains undisturbed."""

        def settled() -> bool:
            task = self.client.get(f"/v1/tasks/{self.task}").json()
            return bool(task["state"] == "RUNNING" and task["workers"] == workers)

        wait_until(settled, "a rest")
        time.sleep(0.5)

    def kill(self, rank: int) -> float:
        (life,) = self.data.glob(f"nodes/*/runs/{self.task}.*.{rank}/life")
        started = next(json.loads(line) for line in life.read_text().splitlines() if "started" in line)
        begin = time.time()
        os.kill(started["started"]["child"], signal.SIGKILL)
        return begin

    def cancel(self) -> None:
        self.client.post(f"/v1/tasks/{self.task}/cancel")
        wait_until(
            lambda: self.client.get(f"/v1/tasks/{self.task}").json()["state"] == "CANCELLED", "its end"
        )
        (self.folder / "steps-0").unlink()

    def stall(self, begin: float, end: float) -> float:
        """The longest gap between two steps of worker 0, which leads throughout, in that time."""
        times = [float(line) for line in (self.folder / "steps-0").read_text().splitlines()[:-1]]
        near = [at for at in times if begin - 0.2 < at < end + 0.2]
        return max(b - a for a, b in itertools.pairwise(near))


def measure(rounds: int) -> dict[str, Any]:
    grows, readies, stalls, kills, cold = [], [], [], [], 0.0
    with tempfile.TemporaryDirectory(prefix="trainmaster-elastic-") as name:
        folder = Path(name)
        (folder / "train.py").write_text(SCRIPT)
        live = Live(folder / "data", nodes=1, leave_running=False)
        live.start()
        group: Any = None
        try:
            for turn in range(rounds):
                if turn % _ROUNDS_A_TASK == 0:
                    if group is not None:
                        group.cancel()
                    group = Group(live, folder)
                    wait_until(lambda: group.said("joined"), "the first generation", 60)  # noqa: B023
                    wait_until(lambda: list(live.data.glob("forkserver-python-*.sock")), "the warm one", 60)
                    group.resize(2)
                    group.settle(2)
                begin = group.resize(3)
                joined = wait_until(lambda: group.joined(3, begin), "the third worker", 60)  # noqa: B023
                newest = max(joined)
                grows.append(joined[newest] - begin)
                readies.append(next(x["t"] for x in group.said("ready") if x["rank"] == newest) - begin)
                group.settle(3)
                stalls.append(group.stall(begin, max(joined.values())))
                begin = group.kill(newest)
                joined = wait_until(lambda: group.joined(2, begin), "the survivors", 60)  # noqa: B023
                kills.append(max(joined.values()) - begin)
                print(
                    f"{turn}: grow {grows[-1]:.3f} stall {stalls[-1]:.3f} killed {kills[-1]:.3f}", flush=True
                )
                group.resize(2)
                group.settle(2)
            pid = int(next(iter(live.data.glob("forkserver-python-*.pid"))).read_text())
            os.kill(pid, signal.SIGKILL)
            begin = group.resize(3)
            joined = wait_until(lambda: group.joined(3, begin), "a worker that starts cold", 60)
            cold = joined[max(joined)] - begin
        finally:
            live.stop()
    median = statistics.median
    return {
        "rounds": rounds,
        "cores": os.cpu_count(),
        "grow_s": round(median(grows), 3),
        "ready_s": round(median(readies), 3),
        "stall_s": round(median(stalls), 3),
        "killed_s": round(median(kills), 3),
        "cold_s": round(cold, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    print(json.dumps(measure(parser.parse_args().rounds)))


if __name__ == "__main__":
    main()
