"""How late one-off no-op functions start that are all due in the same second: Figure 5 of the
coupled-scheduling paper, with APScheduler 3.11 in the same rounds.

Each function returns its own clock at its first instruction, in the lane. Ours are durable: submitted over
HTTP, each claim and each outcome in SQLite with synchronous = FULL. APScheduler runs in a process of its own;
its memory store keeps nothing. Its SQLite store takes minutes for 5,000, so it gets one round of up to 1,000.

`pip install --target DIR 'apscheduler==3.11.*'`, then
Usage: python -m benchmarks.accuracy --peer DIR [--lanes 1 3 5] [--rounds 10] [--quick] [--out FILE]
Results of several runs (one per number of lanes, say) are gathered in FILE; `--page FILE` makes the table.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
from tests.live import Live

from benchmarks.accuracy.page import table

SIZES = (100, 1000, 5000)
PEER = Path(__file__).with_name("peer.py")
_BATCH = 2500


def ours(client: httpx2.Client, count: int) -> tuple[list[float], int, bool]:
    """(delays in seconds, how many were lost, whether any was submitted too late to count)."""
    due = math.ceil((time.time() + 1.0 + count * 0.0008) * 10) / 10
    body = {"function": "benchmarks.noop:stamp", "directory": str(Path.cwd()), "start_at": due}
    ids: set[str] = set()
    for begin in range(0, count, _BATCH):
        part = [body] * min(_BATCH, count - begin)
        answer = client.post("/v1/tasks/batch", json={"tasks": part}).json()
        ids |= {item["id"] for item in answer["tasks"]}
    late = time.time() > due - 0.2
    time.sleep(max(due - time.time(), 0) + 0.2 + count * 0.0002)
    while "trainmaster_live_tasks{" in client.get("/metrics").text:
        time.sleep(0.1)
    delays: list[float] = []
    before: int | None = None
    while len(delays) < count:
        params = {"limit": 1000} | ({} if before is None else {"before": before})
        page = client.get("/v1/tasks", params=params).json()
        mine = [task for task in page["tasks"] if task["id"] in ids]
        delays += [task["result"] - due for task in mine if task["state"] == "SUCCEEDED"]
        before = page["next"]
        if before is None or not mine:
            break
    return delays, count - len(delays), late


def theirs(kind: str, pool: int, count: int, path: str) -> tuple[list[float], int, bool]:
    words = [sys.executable, str(PEER), kind, str(pool), str(count)]
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    told = json.loads(done.stdout)
    return told["delays"], told["lost"], told["late"]


def told(rounds: list[tuple[list[float], int, bool]]) -> dict[str, Any]:
    """Milliseconds over all rounds; one that was late in being set up is named and left out."""
    good = [(delays, lost) for delays, lost, late in rounds if not late]
    every = sorted(delay * 1e3 for delays, _ in good for delay in delays)
    if not every:
        return {"rounds": 0, "set_up_late": len(rounds)}
    return {
        "mean": round(statistics.fmean(every), 2),
        "p50": round(every[len(every) // 2], 2),
        "p99": round(every[min(int(len(every) * 0.99), len(every) - 1)], 2),
        "max": round(every[-1], 2),
        "earliest": round(every[0], 3),
        "means": [round(statistics.fmean(delays) * 1e3, 1) for delays, _ in good],
        "lost": sum(lost for _, lost in good),
        "rounds": len(good),
        "set_up_late": len(rounds) - len(good),
    }


def measure(lanes: int, sizes: list[int], rounds: int, peer: str | None) -> list[dict[str, Any]]:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        service = Live(Path(folder) / "data", leave_running=False, nodes=1, lanes=lanes, containers=False)
        service.start()
        try:
            with service.client(timeout=120) as client:
                ours(client, 100)  # lanes start with their first calls
                for size in sizes:
                    mine, memory = [], []
                    for _ in range(rounds):
                        mine.append(ours(client, size))
                        if peer:
                            memory.append(theirs("memory", lanes, size, peer))
                    row = {"lanes": lanes, "size": size, "trainmaster": told(mine)}
                    if peer:
                        row["apscheduler_memory"] = told(memory)
                        if size <= 1000 and lanes == 5:
                            row["apscheduler_sqlite"] = told([theirs("sqlite", lanes, size, peer)])
                    print(json.dumps(row), flush=True)
                    found.append(row)
        finally:
            service.stop()
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 3, 5])
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="three rounds")
    parser.add_argument("--peer", help="the folder APScheduler was installed into")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--page", type=Path, help="print the table of a file that --out made")
    options = parser.parse_args()
    if options.page:
        print(table(json.loads(options.page.read_text())))
        return
    for lanes in options.lanes:
        rows = measure(lanes, options.sizes, 3 if options.quick else options.rounds, options.peer)
        if options.out:
            before = json.loads(options.out.read_text()) if options.out.exists() else []
            kept = [
                row
                for row in before
                if (row["lanes"], row["size"]) not in {(r["lanes"], r["size"]) for r in rows}
            ]
            options.out.write_text(
                json.dumps(sorted(kept + rows, key=lambda row: (row["size"], row["lanes"])), indent=1)
            )


if __name__ == "__main__":
    main()
