"""SQLite: a library that blocks, not a server.

A whole transaction runs in a thread, which costs one change of threads instead of several per statement (as
a driver with an asynchronous face needs), and leaves the event loop alone meanwhile.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Dialect, create_engine, event
from sqlalchemy.pool import NullPool, QueuePool

from trainmaster.domain.errors import StoreUnavailable
from trainmaster.store.database import READERS, T, Work, closed, typed
from trainmaster.store.errors import translate

# The page cache of each connection, in KiB.
CACHE_KIB = 8192
# How long to wait for a lock that another process holds.
BUSY_S = 10.0
# Pages in the write-ahead log before they are written to the file itself. Keys of tasks and runs are random,
# so in a burst most pages change again and again; the more changes are gathered, the fewer are written.
CHECKPOINT_PAGES = 8192
# A write-ahead log that grew in a burst is cut to this many bytes at the next checkpoint.
LOG_BYTES = 64 * 1024 * 1024


class SqliteFile:
    """A file in WAL mode, fully synchronous, written by one connection in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._made = False  # the file was there once: it is never made again by itself
        self._closed = False
        url = URL.create("sqlite", database=str(path))
        self._writers = create_engine(url, creator=self._connect_writer, poolclass=NullPool)
        self._readers = create_engine(
            url, creator=self._connect_reader, poolclass=QueuePool, pool_size=READERS, max_overflow=0
        )
        event.listen(self._writers, "begin", lambda c: c.exec_driver_sql("BEGIN IMMEDIATE"))
        event.listen(self._readers, "begin", lambda c: c.exec_driver_sql("BEGIN"))
        self._writer: Connection | None = None  # touched only in its thread
        self._writer_inode = 0
        self._readers_inode = 0
        self._readers_lock = threading.Lock()
        self._write_thread = ThreadPoolExecutor(1, "store-write")
        self._read_threads = ThreadPoolExecutor(READERS, "store-read")

    @property
    def dialect(self) -> Dialect:
        return self._writers.dialect

    async def open(self) -> None:
        """Make the file if need be; its folder must exist."""
        await self.write(lambda c: None)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(self._write_thread, self._drop_writer)
        self._write_thread.shutdown()
        self._read_threads.shutdown()
        self._readers.dispose()
        self._writers.dispose()

    async def read(self, work: Work[T]) -> T:
        if self._closed:
            raise closed()
        return await asyncio.get_running_loop().run_in_executor(self._read_threads, self._read, work)

    async def write(self, work: Work[T], done: Callable[[T], None] | None = None) -> T:
        if self._closed:
            raise closed()
        return await asyncio.get_running_loop().run_in_executor(self._write_thread, self._write, work, done)

    def _read(self, work: Work[T]) -> T:
        try:
            inode = self._inode()
            with self._readers_lock:
                if inode != self._readers_inode:
                    self._readers.dispose()
                    self._readers_inode = inode
            with self._readers.begin() as connection:
                return work(connection)
        except Exception as error:
            raise typed(error) from error

    def _write(self, work: Work[T], done: Callable[[T], None] | None) -> T:
        try:
            if self._made and self._inode() != self._writer_inode:
                self._drop_writer()
            if self._writer is None:
                self._writer = self._writers.connect()
                self._made = True
                self._writer_inode = self._inode()
            with self._writer.begin():
                result = work(self._writer)
            if done is not None:
                done(result)
            return result
        except Exception as error:
            # A fresh connection next time: whatever state this one is in, it is not trusted.
            self._drop_writer()
            raise typed(error) from error

    def _drop_writer(self) -> None:
        connection, self._writer = self._writer, None
        if connection is not None:
            try:
                connection.invalidate()
                connection.close()
            except Exception as error:
                if translate(error) is None:
                    raise

    def _inode(self) -> int:
        """Which file is at our path. One moved or deleted would take writes and lose them quietly."""
        try:
            return self.path.stat().st_ino
        except OSError as error:
            raise StoreUnavailable(
                f"{self.path} is not there: {error.strerror}", path=str(self.path)
            ) from None

    def _connect(self, mode: str, *statements: str) -> sqlite3.Connection:
        raw = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_S,
            isolation_level=None,  # transactions begin where we say so
            check_same_thread=False,
        )
        try:
            for statement in statements:
                raw.execute(statement)
        except BaseException:
            raw.close()
            raise
        return raw

    def _connect_writer(self) -> Any:
        # Only a new file takes the first of these; WAL stays with the file.
        new = () if self._made else ("PRAGMA auto_vacuum = INCREMENTAL", "PRAGMA journal_mode = WAL")
        return self._connect(
            "rw" if self._made else "rwc",
            *new,
            "PRAGMA synchronous = FULL",
            f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}",
            "PRAGMA foreign_keys = ON",
            f"PRAGMA cache_size = -{CACHE_KIB}",
            f"PRAGMA journal_size_limit = {LOG_BYTES}",
        )

    def _connect_reader(self) -> Any:
        return self._connect("rw", "PRAGMA query_only = ON", f"PRAGMA cache_size = -{CACHE_KIB}")
