"""DTES, Table 3: the same training tasks placed by measured load, at random, and one node after the other.

The paper trains MNIST classifiers with one, two and three hidden layers on its platform with and without DTES
and reports a mean of 786/2424/4309 s against 1031/3217/5610 s (23.8 % less). How the platform without DTES
placed tasks is not stated; section 3.2.1 calls the task queue and random allocation the common ways. Here:
networks of the same three kinds, their costs in the paper's proportions, on three nodes as in the paper, but
unequal ones, 1 : 2 : 4. They are logical nodes of one machine; a control group per node holds its runs to its
share of the cores, as Trainmaster itself does not. Tasks arrive at seeded random moments, the same ones for
every placement, and ask for next to nothing (the paper's state no demand), so each goes where the placement
says. A time is from submission to the end. Every round plays one stream of arrivals under each placement on
the same running service, in an order that changes from round to round, and each begins on idle nodes.

Usage: python -m benchmarks.dtes [--rounds 3] [--each 4] [--shares 1 2 4]. Needs the right to make control
groups (root).
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

import numpy as np
from sklearn.datasets import load_digits
from tests.live import Live, wait_until

from benchmarks.arrivals import arrivals
from benchmarks.quotas import limited

PAPER = {"with DTES": (786, 2424, 4309), "without": (1031, 3217, 5610)}
PROFILE = {"ordering": "priority", "allotment": "fixed", "preemption": "none"}  # as the profile `dtes`
PLACEMENTS = ("least_loaded", "random", "round_robin")
EPOCHS = {1: 280, 2: 480, 3: 580}  # CPU seconds alone in the paper's proportions, 1 : 3.1 : 5.5
CORES = 1.75  # what the nodes divide; the rest of two cores is left to the service and its clients
EVERY_S = 2.5  # mean time between arrivals: about 55 % of what the nodes could do
ROOT = Path(__file__).parents[1]


class Bench:
    """One running service and what it is asked to do."""

    def __init__(self, service: Live, groups: Path, digits: Path) -> None:
        self._client = service.client()
        self._ended = lambda: service.ended(self._client)
        self._groups = groups
        self._digits = digits

    def play(self, placement: str, stream: Sequence[tuple[float, int]]) -> list[dict[str, object]]:
        """Submit the stream under a placement and wait for the last end; one record per task."""
        self._client.put("/v1/profile", json={"name": placement}).raise_for_status()
        self._await_idle_gauges(time.time())
        began, tasks = time.monotonic(), []
        for number, (at, hidden) in enumerate(stream):
            time.sleep(max(began + at - time.monotonic(), 0.0))
            tasks.append((hidden, self._submit(hidden, number)))
        wait_until(self._ended, "all trainings end", 900, 0.25)
        records: list[dict[str, object]] = []
        for hidden, task in tasks:
            told = self._client.get(f"/v1/tasks/{task}").json()
            assert told["state"] == "SUCCEEDED", told["reason"]
            (run,) = self._client.get(f"/v1/tasks/{task}/runs").json()
            seconds = told["ended_at"] - told["submitted_at"]
            records.append(
                {"placement": placement, "hidden": hidden, "node": run["node"], "seconds": seconds}
            )
        return records

    def _submit(self, hidden: int, seed: int) -> str:
        program = [sys.executable, "-m", "benchmarks.dtes_train", "--data", str(self._digits)]
        program += ["--hidden", str(hidden), "--epochs", str(EPOCHS[hidden]), "--seed", str(seed)]
        # The shell enters the node's control group, then becomes the training.
        enter = ["sh", "-c", 'echo $$ > "$0/$TRAINMASTER_NODE/cgroup.procs" && exec "$@"', str(self._groups)]
        body = {
            "command": enter + program,
            "directory": str(ROOT),
            "environment": {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            "cpus": 0.01,
            "name": f"mlp-{hidden}",
        }
        return str(self._client.post("/v1/tasks", json=body).raise_for_status().json()["id"])

    def _await_idle_gauges(self, since: float) -> None:
        """Until every node was measured after `since` and found idle: no stream sees the one before it."""

        def idle() -> bool:
            nodes = self._client.get("/v1/nodes").json()
            return all(n["gauges"]["time"] > since and n["gauges"]["cpu"] < 0.5 for n in nodes)

        wait_until(idle, "idle nodes are measured", 60, 0.1)


def measure(rounds: int, each: int, shares: Sequence[float]) -> list[dict[str, object]]:
    records = []
    cores = {f"node-{at}": CORES * share / sum(shares) for at, share in enumerate(shares, 1)}
    with tempfile.TemporaryDirectory() as folder, limited(cores) as groups:
        digits = Path(folder) / "digits.npz"
        data = load_digits()
        np.savez(digits, x=(data.data / 16).astype(np.float32), y=data.target)
        service = Live(
            Path(folder) / "data",
            leave_running=False,
            nodes=len(shares),
            shares=list(shares),
            cores=CORES,
            profile=PLACEMENTS[0],
            profiles={placement: {**PROFILE, "placement": placement} for placement in PLACEMENTS},
            containers=False,
        )
        service.start()
        try:
            bench = Bench(service, groups, digits)
            for number in range(rounds):
                stream = arrivals(number, each, EPOCHS, EVERY_S)
                turn = number % len(PLACEMENTS)
                for placement in PLACEMENTS[turn:] + PLACEMENTS[:turn]:
                    played = bench.play(placement, stream)
                    records += [{"round": number, **record} for record in played]
                    mean = statistics.mean(r["seconds"] for r in played)  # type: ignore[type-var]
                    print(f"round {number} {placement}: mean {mean:.1f} s", file=sys.stderr, flush=True)
        finally:
            service.stop()
    return records


def summary(records: Sequence[dict[str, object]], shares: Sequence[float]) -> dict[str, object]:
    def mean(placement: str, **only: object) -> float:
        return statistics.mean(
            float(str(record["seconds"]))
            for record in records
            if record["placement"] == placement and all(record[k] == v for k, v in only.items())
        )

    def less(baseline: str, **only: object) -> float:
        return round(100 * (1 - mean("least_loaded", **only) / mean(baseline, **only)), 1)

    baselines = PLACEMENTS[1:]
    rounds = sorted({int(str(record["round"])) for record in records})
    nodes = sorted({str(record["node"]) for record in records})
    with_, without = PAPER["with DTES"], PAPER["without"]
    return {
        "benchmark": "dtes",
        "columns": ["1 hidden layer", "2 hidden layers", "3 hidden layers"],
        "paper_s": PAPER,
        "paper_less_percent": [round(100 * (1 - a / b), 1) for a, b in zip(with_, without, strict=True)],
        "ours_s": {p: [round(mean(p, hidden=h), 2) for h in EPOCHS] for p in PLACEMENTS},
        "less_percent_than": {b: [less(b, hidden=h) for h in EPOCHS] for b in baselines},
        "mean_s": {p: round(mean(p), 2) for p in PLACEMENTS},
        "mean_less_percent_than": {b: less(b) for b in baselines},
        "mean_less_percent_by_round": {b: [less(b, round=r) for r in rounds] for b in baselines},
        "tasks_by_node": {
            p: [sum(r["placement"] == p and r["node"] == n for r in records) for n in nodes]
            for p in PLACEMENTS
        },
        "shares": list(shares),
        "cores": CORES,
        "tasks_per_placement": len(records) // len(PLACEMENTS),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--each", type=int, default=4, help="tasks of each kind in one stream")
    parser.add_argument("--shares", type=float, nargs="+", default=[1, 2, 4], help="of the nodes, in order")
    options = parser.parse_args()
    print(json.dumps(summary(measure(options.rounds, options.each, options.shares), options.shares)))


if __name__ == "__main__":
    main()
