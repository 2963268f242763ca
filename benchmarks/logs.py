"""Logs: lines per second into the store, and the time to pages of a log of a million lines.

Beside it, in the same run, the floor: the same bytes appended to a plain file with an fsync for each batch.
Usage: python benchmarks/logs.py [--url URL] [--lines N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from trainmaster.domain.ids import RunId, TaskId
from trainmaster.domain.run import LogChunk, Stream
from trainmaster.ports import Batch, LogQuery
from trainmaster.store import SqlStore

BATCH_BYTES = 256 * 1024
TASK = TaskId("t-benchmark")
RUN = RunId(TASK, 1, 0)


def log_of(lines: int) -> bytes:
    """Lines of about 100 bytes, as a training loop prints them."""
    line = b"2026-01-01 00:00:00 epoch %03d step %07d loss 0.%06d accuracy 0.%06d lr 0.1 samples/s 12345.6\n"
    return b"".join(line % (n // 10_000, n, n % 1_000_000, n * 7 % 1_000_000) for n in range(lines))


async def ingest(store: SqlStore, data: bytes) -> float:
    """Seconds to store everything in batches; each chunk ends in the middle of a line."""
    began = time.perf_counter()
    for number, offset in enumerate(range(0, len(data), BATCH_BYTES)):
        part = LogChunk(RUN, Stream.STDOUT, offset, data[offset : offset + BATCH_BYTES], 1.7e9 + number)
        await store.commit(Batch(id=str(number), logs=[part]))
    return time.perf_counter() - began


def append(folder: Path, data: bytes) -> float:
    began = time.perf_counter()
    with open(folder / "plain.log", "wb", buffering=0) as file:
        for offset in range(0, len(data), BATCH_BYTES):
            file.write(data[offset : offset + BATCH_BYTES])
            os.fsync(file.fileno())
    return time.perf_counter() - began


async def median_ms(call: Callable[[], Awaitable[object]], times: int = 9) -> tuple[float, float]:
    """Milliseconds of the first call and of the median one."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        await call()
        taken.append((time.perf_counter() - began) * 1e3)
    return round(taken[0], 2), round(statistics.median(taken), 2)


async def search_all(store: SqlStore, query: LogQuery) -> float:
    """Seconds to look through the whole log, page after page."""
    began = time.perf_counter()
    after: int | None = 0
    while after is not None:
        after = (await store.log_page(TASK, query, 100, after=after)).newer
    return time.perf_counter() - began


async def measure(url: str | None, lines: int) -> dict[str, object]:
    data = log_of(lines)
    with tempfile.TemporaryDirectory() as folder:
        address = url or f"sqlite:///{folder}/store.db"
        store = SqlStore(address)
        await store.open()
        seconds = await ingest(store, data)
        await store.close()
        plain = append(Path(folder), data)
        # A new store: nothing of the log is in its memory.
        store = SqlStore(address)
        await store.open()
        first = await median_ms(lambda: store.log_page(TASK, LogQuery(), 200, after=0))
        tail = await median_ms(lambda: store.log_page(TASK, LogQuery(), 200))
        middle = (await store.log_page(TASK, LogQuery(), 1)).lines[-1].cursor // 2
        inside = await median_ms(lambda: store.log_page(TASK, LogQuery(), 200, before=middle))
        one_rank = await median_ms(lambda: store.log_page(TASK, LogQuery(rank=0, attempt=1), 200))
        text = await search_all(store, LogQuery(text="no such text"))
        pattern = await search_all(store, LogQuery(text=r"loss 0\.1234\d\d .* 9{9}", regex=True))
        began = time.perf_counter()
        size = 0
        async for part in store.log_bytes(TASK, Stream.STDOUT, 1, 0):
            size += len(part)
        download = time.perf_counter() - began
        assert size == len(data)
        await store.close()
    return {
        "benchmark": "logs",
        "database": "sqlite" if url is None else url.split(":")[0],
        "lines": lines,
        "megabytes": round(len(data) / 1e6, 1),
        "lines_per_s_in": round(lines / seconds),
        "lines_per_s_of_a_plain_file": round(lines / plain),
        "first_page_ms": first[0],
        "first_page_again_ms": first[1],
        "tail_ms": tail[0],
        "tail_again_ms": tail[1],
        "middle_again_ms": inside[1],
        "tail_of_one_worker_again_ms": one_rank[1],
        "search_text_mb_per_s": round(len(data) / 1e6 / text, 1),
        "search_pattern_mb_per_s": round(len(data) / 1e6 / pattern, 1),
        "download_mb_per_s": round(size / 1e6 / download, 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a database that may be filled; default: SQLite in a temporary folder")
    parser.add_argument("--lines", type=int, default=1_000_000)
    given = parser.parse_args()
    print(json.dumps(asyncio.run(measure(given.url, given.lines))))
