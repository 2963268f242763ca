"""How fast the store commits: rows per second in large batches, latency of small ones.

Beside it, in the same run, the floor: the bare driver writing one narrow row per row of ours into one table
without indexes, with the same durability. Usage: python benchmarks/store_commit.py [--url URL] [--rounds N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from trainmaster.domain.history import Record, RecordKind
from trainmaster.domain.ids import NodeId, RunId, task_id
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.run import Run, RunState
from trainmaster.domain.task import Task, TaskSpec, Urgency
from trainmaster.domain.units import Resources
from trainmaster.ports import Batch
from trainmaster.store import SqlStore

TASKS = 2000


def submitted(seq: int) -> Task:
    spec = TaskSpec(
        name=f"mnist-{seq}",
        command=("python", "train.py", "--epochs", "10", "--lr", "0.1"),
        directory="/home/ann/mnist",
        environment=(("SEED", str(seq)), ("OMP_NUM_THREADS", "1")),
        resources=Resources(1000, 2**30),
    )
    task = task_id(seq * 2_654_435_761 + 12_345)
    return Task(task, seq, spec, TaskState.QUEUED, 1.7e9 + seq, Urgency.NORMAL, 0.0, queued_at=1.7e9)


def started(task: Task) -> tuple[Task, Run]:
    now = task.submitted_at + 1
    run = Run(RunId(task.id, 1, 0), NodeId("n1"), Resources(1000, 2**30), RunState.RUNNING, started_at=now)
    running = replace(
        task, state=TaskState.RUNNING, attempt=1, workers=1, started_at=now, reason="placed on n1"
    )
    return running, run


def record(task: Task, kind: RecordKind = RecordKind.TASK_SUBMITTED) -> Record:
    return Record(
        task.submitted_at, kind, task.id, 1, NodeId("n1"), "the node with most room", {"free": 3000}
    )


async def large(store: SqlStore, rounds: int) -> list[float]:
    """Rows per second of commits that submit one half of TASKS and start the other."""
    rates = []
    before = [submitted(n) for n in range(TASKS // 2)]
    await store.commit(Batch(id="first", new_tasks=before))
    for turn in range(1, rounds + 1):
        new = [submitted(turn * TASKS + n) for n in range(TASKS // 2)]
        running = [started(task) for task in before]
        batch = Batch(
            id=f"large-{turn}",
            new_tasks=new,
            tasks=[task for task, _ in running],
            runs=[run for _, run in running],
            records=[record(task) for task in (*new, *before)],
        )
        rows = len(batch.new_tasks) + len(batch.tasks) + len(batch.runs) + len(batch.records)
        began = time.perf_counter()
        await store.commit(batch)
        rates.append(rows / (time.perf_counter() - began))
        before = new
    return rates


async def small(store: SqlStore, count: int) -> list[float]:
    """Seconds of commits with one task, one run and three records."""
    times = []
    for n in range(count):
        task = submitted(10_000_000 + n)
        running, run = started(task)
        batch = Batch(id=f"small-{n}", new_tasks=[running], runs=[run], records=[record(task)] * 3)
        began = time.perf_counter()
        await store.commit(batch)
        times.append(time.perf_counter() - began)
    return times


def floor(folder: Path, rounds: int) -> tuple[float, float]:
    """The bare SQLite driver: (rows per second of large commits, seconds of a commit of five rows)."""
    raw = sqlite3.connect(folder / "floor.db", isolation_level=None)
    raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("PRAGMA synchronous = FULL")
    raw.execute("CREATE TABLE plain (id INTEGER PRIMARY KEY, a TEXT, b TEXT, c DOUBLE)")

    def commit(rows: int) -> float:
        values = [("x" * 12, "y" * 60, 1.7e9)] * rows
        began = time.perf_counter()
        raw.execute("BEGIN IMMEDIATE")
        raw.executemany("INSERT INTO plain (a, b, c) VALUES (?, ?, ?)", values)
        raw.execute("COMMIT")
        return time.perf_counter() - began

    many = statistics.median(TASKS * 2.5 / commit(int(TASKS * 2.5)) for _ in range(rounds))
    few = statistics.median(commit(5) for _ in range(200))
    raw.close()
    return many, few


async def measure(url: str | None, rounds: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        store = SqlStore(url or f"sqlite:///{folder}/store.db")
        await store.open()
        rates = await large(store, rounds)
        times = sorted(await small(store, 500))
        began = time.perf_counter()
        loaded = await store.load()
        load_s = time.perf_counter() - began
        await store.close()
        bare_rate, bare_s = floor(Path(folder), rounds)
    return {
        "benchmark": "store_commit",
        "database": "sqlite" if url is None else url.split(":")[0],
        "rows_per_s": round(statistics.median(rates)),
        "rows_per_s_of_bare_sqlite": round(bare_rate),
        "small_commit_ms_p50": round(times[len(times) // 2] * 1e3, 3),
        "small_commit_ms_p99": round(times[int(len(times) * 0.99)] * 1e3, 3),
        "small_commit_ms_of_bare_sqlite": round(bare_s * 1e3, 3),
        "load_ms_per_1000_tasks": round(load_s * 1e6 / len(loaded.tasks), 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a database that may be filled; default: SQLite in a temporary folder")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(json.dumps(asyncio.run(measure(given.url, given.rounds))))
