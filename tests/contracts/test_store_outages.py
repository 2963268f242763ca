"""What the `Store` port does while its database is away, frozen, cut off or full, and afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.contracts.conftest import ADAPTERS, URLS
from tests.samples import chunk, make_record, make_task
from tests.servers import Server, free_port, mounted
from trainmaster.domain.errors import InvalidStoreUrl, StoreFull, StoreUnavailable
from trainmaster.domain.ids import RunId, TaskId
from trainmaster.domain.run import Stream
from trainmaster.ports import Batch, LogQuery
from trainmaster.store import SqlStore

SERVERS = ADAPTERS[1:]
T = TaskId("t-log")
R = RunId(T, 1, 0)


@pytest.fixture
def server(request: pytest.FixtureRequest, store_url: str) -> Iterator[Server]:
    """The server behind `store`; runs again afterwards whatever a test did to it."""
    name = "mariadb" if store_url.startswith("mysql") else "postgresql"
    found: Server = request.getfixturevalue(URLS[name])
    yield found
    found.signal(signal.SIGCONT)
    found.start()


async def until_stored(store: SqlStore, batch: Batch, for_s: float = 20.0) -> int:
    """Commit as the service does: the same batch again until it is stored."""
    give_up = time.monotonic() + for_s
    while True:
        try:
            return await store.commit(batch)
        except StoreUnavailable:
            if time.monotonic() > give_up:
                raise
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("store_url", SERVERS, indirect=True)
async def test_a_database_that_goes_away_and_returns(store: SqlStore, server: Server) -> None:
    task = make_task(1)
    await store.commit(Batch(new_tasks=[task], logs=[chunk(R, b"one\ntw")], records=[make_record()]))
    server.kill()
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await store.commit(Batch(id="b", records=[make_record()]))
        with pytest.raises(StoreUnavailable):
            await store.task(task.id)
        with pytest.raises(StoreUnavailable):
            await store.log_page(T, LogQuery(), 5)
        with pytest.raises(StoreUnavailable):
            [part async for part in store.log_bytes(T, Stream.STDOUT, 1, 0)]
    waiting = asyncio.create_task(
        until_stored(store, Batch(id="b", records=[make_record()], logs=[chunk(R, b"one\ntwo\n")]))
    )
    await asyncio.sleep(0.2)
    await asyncio.to_thread(server.start)
    assert await waiting == 2
    assert await store.task(task.id) == task
    assert [line.text for line in (await store.log_page(T, LogQuery(), 5)).lines] == ["one", "two"]


@pytest.mark.parametrize("store_url", SERVERS, indirect=True)
async def test_a_connection_that_died_while_idle_is_not_noticed(store: SqlStore, server: Server) -> None:
    await store.commit(Batch(records=[make_record()]))
    server.stop()
    await asyncio.to_thread(server.start)
    assert await store.commit(Batch(records=[make_record()])) == 2
    assert len(await store.records()) == 2


@pytest.mark.parametrize("store_url", SERVERS, indirect=True)
async def test_a_frozen_server_counts_as_unavailable(store: SqlStore, server: Server, store_url: str) -> None:
    hasty = SqlStore(store_url, timeout_s=0.5)
    await hasty.open()
    try:
        await hasty.commit(Batch(records=[make_record()]))
        server.signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await hasty.commit(Batch(id="b", records=[make_record()]))
        with pytest.raises(StoreUnavailable):
            await hasty.counts()
        assert time.monotonic() - began < 15
        server.signal(signal.SIGCONT)
        assert await until_stored(hasty, Batch(id="b", records=[make_record()])) == 2
        assert await hasty.counts() == {}
    finally:
        server.signal(signal.SIGCONT)
        await hasty.close()


class Cutter:
    """Between a store and its server: hands bytes on, and breaks the connection right after a COMMIT.

    The server stores what it was sent, and the client never hears of it.
    """

    def __init__(self, port: int) -> None:
        self.server_port = port
        self.port = free_port()
        self.cut_next = False
        self.cuts = 0

    async def __aenter__(self) -> Cutter:
        self._server = await asyncio.start_server(self._client, "127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", self.server_port)
        answers = asyncio.create_task(self._copy(back, writer))
        try:
            while data := await reader.read(65536):
                if self.cut_next and re.search(rb"COMMIT(?!TED)", data):
                    self.cut_next = False
                    self.cuts += 1
                    await self._end(answers)
                    forth.write(data)
                    await forth.drain()
                    await back.read(1)  # the server has answered
                    return
                forth.write(data)
                await forth.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            await self._end(answers)
            for end in (forth, writer):
                end.close()
                with contextlib.suppress(OSError, asyncio.CancelledError):
                    await end.wait_closed()

    @staticmethod
    async def _end(task: asyncio.Task[None]) -> None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    @staticmethod
    async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                target.write(data)
                await target.drain()


@pytest.mark.parametrize("store_url", SERVERS, indirect=True)
async def test_a_commit_whose_answer_was_lost_is_not_applied_twice(
    store: SqlStore, server: Server, store_url: str
) -> None:
    async with Cutter(server.port) as cutter:
        store_behind = SqlStore(store_url.replace(f":{server.port}/", f":{cutter.port}/"))
        assert urlsplit(store_url).port == server.port
        await store_behind.open()
        batch = Batch(id="b1", records=[make_record()], logs=[chunk(R, b"one\ntw")])
        cutter.cut_next = True
        with pytest.raises(StoreUnavailable):
            await store_behind.commit(batch)
        assert cutter.cuts == 1
        assert len(await store.records()) == 1, "it was stored all the same"
        assert await store_behind.commit(batch) == 1
        assert len(await store.records()) == 1
        last = Batch(id="b2", records=[make_record()], logs=[chunk(R, b"two\n", 4)])
        assert await store_behind.commit(last) == 2
        await store_behind.close()
    assert [line.text for line in (await store.log_page(T, LogQuery(), 5)).lines] == ["one", "two"]


@pytest.mark.parametrize("store_url", SERVERS, indirect=True)
async def test_a_server_that_is_not_there_at_first(store_url: str, server: Server) -> None:
    nowhere = SqlStore(store_url.replace(f":{server.port}/", f":{free_port()}/"), timeout_s=2)
    with pytest.raises(StoreUnavailable):
        await nowhere.open()
    await nowhere.close()


# --- SQLite ------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 6 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    with mounted(folder, "6m"):
        yield folder


@pytest.mark.needs("mount")
async def test_a_full_disk_and_room_made_again(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 4_000_000)
    store = SqlStore(f"sqlite:///{small_disk}/store.db")
    await store.open()
    await store.commit(Batch(records=[make_record()]))
    batch = Batch(id="big", records=[make_record()], logs=[chunk(R, b"line\n" * 400_000)])
    for _ in range(2):
        with pytest.raises(StoreFull):
            await store.commit(batch)
    assert len(await store.records()) == 1, "reading goes on"
    assert (await store.log_page(T, LogQuery(), 5)).lines == []
    ballast.unlink()
    assert await store.commit(batch) == 2
    assert len(b"".join([part async for part in store.log_bytes(T, Stream.STDOUT, 1, 0)])) == 2_000_000
    await store.close()


async def test_a_limited_sqlite_file_is_full(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/store.db")
    await store.open()
    pages = await store._database.write(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar())
    await store._database.write(lambda c: c.exec_driver_sql(f"PRAGMA max_page_count = {pages + 5}").scalar())
    batch = Batch(id="big", logs=[chunk(R, b"line\n" * 50_000)])
    with pytest.raises(StoreFull) as caught:
        await store.commit(batch)
    assert caught.value.remedy
    # The connection is made anew after an error, and with it the limit is gone.
    await store.commit(batch)
    assert len(b"".join([part async for part in store.log_bytes(T, Stream.STDOUT, 1, 0)])) == 250_000
    await store.close()


async def test_a_deleted_sqlite_file_is_not_written_to_quietly(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = SqlStore(f"sqlite:///{path}")
    await store.open()
    await store.commit(Batch(records=[make_record()]))
    away = tmp_path / "away"
    away.mkdir()
    for file in tmp_path.glob("store.db*"):
        file.rename(away / file.name)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await store.commit(Batch(records=[make_record()]))
        with pytest.raises(StoreUnavailable):
            await store.records()
    assert not path.exists(), "no empty database takes its place"
    for file in away.iterdir():
        file.rename(tmp_path / file.name)
    assert await store.commit(Batch(records=[make_record()])) == 2
    await store.close()


WRITER = """
import asyncio, sys
from tests.samples import make_record
from trainmaster.ports import Batch
from trainmaster.store import SqlStore

async def main():
    store = SqlStore(sys.argv[1])
    await store.open()
    while True:
        print(await store.commit(Batch(records=[make_record()] * 7)), flush=True)

asyncio.run(main())
"""


async def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    answered = 0
    for _ in range(3):
        writer = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, url, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        assert writer.stdout is not None
        for _ in range(25):
            answered = int(await writer.stdout.readline())
        writer.kill()
        for line in (await writer.stdout.read()).splitlines(keepends=True):
            if line.endswith(b"\n"):
                answered = int(line)
        await writer.wait()
        store = SqlStore(url)
        await store.open()
        numbers = [seq for seq, _ in await store.records(limit=100_000)]
        assert numbers == list(range(1, numbers[-1] + 1)) and len(numbers) % 7 == 0, "whole batches only"
        assert numbers[-1] >= answered
        await store.close()


async def test_a_locked_sqlite_file_is_waited_for(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "store.db"
    store = SqlStore(f"sqlite:///{path}")
    await store.open()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(store.commit(Batch(records=[make_record()])))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    assert await store.records() == [], "readers do not wait"
    other.execute("COMMIT")
    other.close()
    assert await waiting == 1
    await store.close()


async def test_something_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"this is not a database, but long enough to be looked at\n" * 200)
    store = SqlStore(f"sqlite:///{path}")
    with pytest.raises(StoreUnavailable, match="not a database"):
        await store.open()
    await store.close()


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/none/store.db")
    with pytest.raises(StoreUnavailable):
        await store.open()
    await store.close()


async def test_a_closed_store(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/store.db")
    await store.open()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.commit(Batch())


@pytest.mark.parametrize(
    "url", ["nonsense", "sqlite://", "sqlite:///:memory:", "oracle://host/db", "mongodb://user:secret@host"]
)
def test_addresses_that_cannot_be_used(url: str) -> None:
    with pytest.raises(InvalidStoreUrl) as caught:
        SqlStore(url)
    assert caught.value.remedy
    assert "secret" not in str(caught.value)
