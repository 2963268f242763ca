"""Submit→start latency, and process and function tasks per second, beside HyperQueue and a bare spawn loop.

- latency: one process task at a time on an idle service; from before the HTTP request to the first
  instruction of the process (it prints its clock). Milliseconds.
- processes: N times /bin/true, from before the submission until the last end is recorded. Each has its shim,
  its run folder and its durable record. HyperQueue runs the same in the same rounds, alternating; the floor
  is a loop of posix_spawn and wait, two at a time, that records nothing.
- functions: M no-op function tasks, durable, the same way.
Usage: python -m benchmarks.dispatch [--rounds 3] [--processes 1000] [--functions 10000]
"""

from __future__ import annotations

import argparse
import json
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

HYPERQUEUE = """
import sys, time, tempfile
from hyperqueue import Job
from hyperqueue.cluster import LocalCluster, WorkerConfig
count = int(sys.argv[1])
with LocalCluster(tempfile.mkdtemp(), WorkerConfig(cores=2)) as cluster:
    client = cluster.client()
    warm = Job(); warm.program(["/bin/true"]); client.wait_for_jobs([client.submit(warm)])
    job = Job()
    for _ in range(count):
        job.program(["/bin/true"])
    began = time.perf_counter()
    client.wait_for_jobs([client.submit(job)])
    print("RATE", count / (time.perf_counter() - began))
"""


def latencies(client: httpx2.Client, count: int) -> list[float]:
    """Milliseconds from the request to the process's own clock."""
    found = []
    for _ in range(count):
        began = time.time()
        body = {"command": ["/bin/date", "+%s.%N"], "cpus": 0.1}
        task = client.post("/v1/tasks", json=body).json()["id"]
        lines: list[dict[str, Any]] = []
        while not lines:
            time.sleep(0.02)
            lines = client.get(f"/v1/tasks/{task}/logs").json()["lines"]
        found.append((float(lines[0]["text"]) - began) * 1e3)
        time.sleep(0.05)
    return found


def rate(client: httpx2.Client, body: dict[str, Any], count: int) -> float:
    """Tasks per second from before the submission until the last has ended."""
    succeeded = client.get("/v1/overview").json()["counts"].get("SUCCEEDED", 0)
    began = time.perf_counter()
    for begin in range(0, count, 2000):
        part = min(2000, count - begin)
        answer = client.post("/v1/tasks/batch", json={"tasks": [body] * part})
        assert all(item["id"] for item in answer.json()["tasks"]), answer.text[:300]
    # The live tasks by the metrics page, which asks the database nothing.
    while "trainmaster_live_tasks{" in client.get("/metrics").text:
        time.sleep(0.05)
    taken = time.perf_counter() - began
    counts = client.get("/v1/overview").json()["counts"]
    assert counts.get("SUCCEEDED", 0) == succeeded + count, counts
    return count / taken


def hyperqueue(count: int) -> float | None:
    words = [sys.executable, "-c", HYPERQUEUE, str(count)]
    with tempfile.TemporaryDirectory() as folder:  # it writes the output of every task into where it runs
        done = subprocess.run(words, capture_output=True, text=True, cwd=folder)
    for line in done.stdout.splitlines():
        if line.startswith("RATE"):
            return float(line.split()[1])
    print(f"hyperqueue: {done.stderr[-500:]}", file=sys.stderr)
    return None


def spawn_floor(count: int) -> float:
    began = time.perf_counter()
    live = 0
    for _ in range(count):
        if live == 2:
            os.wait()
            live -= 1
        os.posix_spawn("/bin/true", ["/bin/true"], os.environ)
        live += 1
    while live:
        os.wait()
        live -= 1
    return count / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=1000)
    parser.add_argument("--functions", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        service = Live(Path(folder) / "data", leave_running=False, nodes=1, lanes=2, containers=False)
        service.start()
        try:
            with service.client(timeout=120) as client:
                idle_mb = resident_mb(service.pid)
                waits = latencies(client, 60)
                processes, peers, floors, functions = [], [], [], []
                for _ in range(options.rounds):
                    process = {"command": ["/bin/true"], "cpus": 0.01}
                    processes.append(rate(client, process, options.processes))
                    peers.append(hyperqueue(options.processes))
                    floors.append(spawn_floor(options.processes))
                    function = {"function": "benchmarks.noop:noop", "directory": str(Path.cwd())}
                    functions.append(rate(client, function, options.functions))
        finally:
            service.stop()
    peer = statistics.median([value for value in peers if value is not None] or [0.0])
    ours = statistics.median(processes)
    result = {
        "benchmark": "dispatch",
        "idle_resident_mb": round(idle_mb, 1),
        "submit_to_start_ms": {
            "p50": round(statistics.median(waits), 2),
            "p95": round(sorted(waits)[int(len(waits) * 0.95)], 2),
        },
        "process_tasks_per_s": round(ours, 1),
        "hyperqueue_tasks_per_s": round(peer, 1),
        "ratio_to_hyperqueue": round(ours / peer, 2) if peer else None,
        "spawn_floor_per_s": round(statistics.median(floors), 1),
        "function_tasks_per_s": round(statistics.median(functions), 1),
        "rounds": {
            "process": [round(v, 1) for v in processes],
            "hyperqueue": [round(v, 1) if v else None for v in peers],
            "function": [round(v, 1) for v in functions],
        },
    }
    print(json.dumps(result))


def resident_mb(pid: int) -> float:
    """After a moment of idleness."""
    time.sleep(3)
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
