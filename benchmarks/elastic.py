"""How fast an elastic group changes under a real service, and under torchrun in the same run.

    python -m benchmarks.elastic [--rounds 10] [--samples 2560] [--torchrun 5 30]

One service with one node, the small network (784-256-10, global batch 256, one thread a worker) on so little
data that making it does not count. First rounds from 2 to 3 workers and back; then rounds in which the newest
of 3 is killed. Figures in seconds, medians over the rounds (`most`: the longest):

- `grow_s`: from the request to the word `joined` of the newcomer (bar 0.3); `ready_s` until its `ready`
- `stall_s`: the longest gap between two steps of the leader around the change (bar 0.1)
- `killed_s`: from the KILL to the next `joined` of the last survivor (bar 0.3)

`cold_s` is the same growth without the warm interpreter, once. Then torchrun, once for each of the given
waits for late-comers (`benchmarks.elastic_torchrun`). Prints one JSON object as its last line.
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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.live import Live, wait_until

from benchmarks import elastic_torchrun

DEATHS_A_TASK = 3  # more workers that die within a minute end an attempt
SCRIPT = """
import os, time
import torch
import torch.nn.functional as F
from torch.utils.data import TensorDataset
from trainmaster import train

torch.set_num_threads(1)
dataset = TensorDataset(torch.randn(SAMPLES, 784), torch.randint(0, 10, (SAMPLES,)))
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

    def members(self) -> list[int]:
        return list(self.client.get(f"/v1/tasks/{self.task}").json()["group"]["members"])

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


def measure(rounds: int, samples: int) -> dict[str, Any]:
    """Growth and stall over `rounds` rounds, deaths over as many, and one growth from cold."""
    grows, readies, stalls, kills = [], [], [], []
    with tempfile.TemporaryDirectory(prefix="trainmaster-elastic-") as name:
        folder = Path(name)
        (folder / "train.py").write_text(SCRIPT.replace("SAMPLES", str(samples)))
        live = Live(folder / "data", nodes=1, leave_running=False)
        live.start()
        try:
            group = begun(live, folder)
            for _ in range(rounds):
                begin = group.resize(3)
                joined = wait_until(lambda: group.joined(3, begin), "the third worker", 60)  # noqa: B023
                newest = max(joined)
                grows.append(joined[newest] - begin)
                readies.append(next(x["t"] for x in group.said("ready") if x["rank"] == newest) - begin)
                group.settle(3)
                stalls.append(group.stall(begin, max(joined.values())))
                group.resize(2)
                group.settle(2)
                print(f"grow {grows[-1]:.3f} ready {readies[-1]:.3f} stall {stalls[-1]:.3f}", flush=True)
            while len(kills) < rounds:
                group.cancel()
                group = begun(live, folder)
                for _ in range(min(DEATHS_A_TASK, rounds - len(kills))):
                    group.resize(3)
                    group.settle(3)
                    begin = group.kill(max(group.members()))
                    joined = wait_until(lambda: group.joined(2, begin), "the survivors", 60)  # noqa: B023
                    kills.append(max(joined.values()) - begin)
                    print(f"killed {kills[-1]:.3f}", flush=True)
                    group.resize(2)
                    group.settle(2)
            pid = int(next(iter(live.data.glob("forkserver-python-*.pid"))).read_text())
            os.kill(pid, signal.SIGKILL)
            begin = group.resize(3)
            joined = wait_until(lambda: group.joined(3, begin), "a worker that starts cold", 60)
            cold = joined[max(joined)] - begin
        finally:
            live.stop()
    return {
        "rounds": rounds,
        "samples": samples,
        "cores": os.cpu_count(),
        **_figures("grow_s", grows),
        **_figures("ready_s", readies),
        **_figures("stall_s", stalls),
        **_figures("killed_s", kills),
        "cold_s": round(cold, 3),
    }


def begun(live: Live, folder: Path) -> Group:
    """A group of two that trains, with the warm interpreter up."""
    group = Group(live, folder)
    wait_until(lambda: group.said("joined"), "the first generation", 60)
    wait_until(lambda: list(live.data.glob("forkserver-python-*.sock")), "the warm interpreter", 60)
    group.resize(2)
    group.settle(2)
    return group


def _figures(name: str, values: Sequence[float]) -> dict[str, float]:
    return {name: round(statistics.median(values), 3), name.replace("_s", "_most_s"): round(max(values), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--samples", type=int, default=2560, help="of the data set each worker makes")
    parser.add_argument("--torchrun", type=float, nargs="*", default=[5.0], metavar="LAST_CALL_S")
    options = parser.parse_args()
    ours = measure(options.rounds, options.samples)
    told: dict[str, Any] = {"trainmaster": ours}
    for last_call_s in options.torchrun:
        print(f"torchrun, last_call_timeout={last_call_s:g}", flush=True)
        theirs = elastic_torchrun.measure(last_call_s)
        times = {k: round(theirs[k] / ours[k], 1) for k in ("grow_s", "stall_s", "killed_s")}
        told[f"torchrun_{last_call_s:g}"] = theirs | {"times_ours": times}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
