"""PostgreSQL and MySQL (MariaDB), over SQLAlchemy's `AsyncEngine`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import URL, Connection, Dialect, event
from sqlalchemy.exc import NoSuchModuleError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from trainmaster.domain.errors import InvalidStoreUrl, StoreUnavailable
from trainmaster.store.database import READERS, T, Work, closed, typed
from trainmaster.store.errors import translate

DRIVERS = {"postgresql": "postgresql+asyncpg", "mysql": "mysql+asyncmy", "mariadb": "mysql+asyncmy"}
_EXTRAS = {"postgresql": "postgres", "mysql": "mysql"}
# How long a broken connection may take to be put away.
_DROP_S = 5.0


class Server:
    """A database server. Writes keep one connection of their own, reads share a pool.

    Raises InvalidStoreUrl if the driver is not installed.
    """

    def __init__(self, url: URL, timeout_s: float) -> None:
        url = url.set(drivername=DRIVERS[url.get_backend_name()])
        self.kind = url.get_backend_name()
        self._timeout_s = timeout_s
        options: dict[str, Any] = (
            {"timeout": timeout_s, "command_timeout": timeout_s}
            if self.kind == "postgresql"
            else {"connect_timeout": max(int(timeout_s), 1), "charset": "utf8mb4"}
        )
        try:
            self._engine: AsyncEngine = create_async_engine(
                url,
                pool_size=READERS,
                max_overflow=READERS,
                pool_timeout=timeout_s,
                pool_pre_ping=True,
                pool_recycle=1800,
                isolation_level="READ COMMITTED",
                connect_args=options,
            )
        except (ImportError, NoSuchModuleError) as error:
            raise InvalidStoreUrl(
                f"the driver for {self.kind} is not installed: {error}",
                remedy=f"pip install 'trainmaster[{_EXTRAS[self.kind]}]'",
            ) from None
        if self.kind == "mysql":
            # It logs every note of the server; what matters is an error in strict mode.
            logging.getLogger("asyncmy").setLevel(logging.ERROR)
            event.listen(self._engine.sync_engine, "connect", _be_strict)
        self._writer: AsyncConnection | None = None
        self._turn = asyncio.Lock()
        self._closed = False

    @property
    def dialect(self) -> Dialect:
        return self._engine.dialect

    async def open(self) -> None:
        encoding = await self.read(self._encoding)
        if encoding not in ("UTF8", "utf8mb4"):
            raise InvalidStoreUrl(
                f"the database keeps text as {encoding}, which cannot hold all of it",
                remedy="create it as in: CREATE DATABASE trainmaster ENCODING 'UTF8' TEMPLATE template0",
            )

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        async with self._turn:
            await self._drop_writer()
        await self._engine.dispose()

    async def read(self, work: Work[T]) -> T:
        async def transaction() -> T:
            async with self._engine.begin() as connection:
                return await connection.run_sync(work)

        return await self._bounded(transaction)

    async def write(self, work: Work[T], done: Callable[[T], None] | None = None) -> T:
        worked = False

        async def transaction() -> T:
            nonlocal worked
            if self._writer is None:
                self._writer = await self._engine.connect()
            async with self._writer.begin():
                result = await self._writer.run_sync(work)
                worked = True
            if done is not None:
                done(result)
            return result

        async with self._turn:
            reused = self._writer is not None
            try:
                return await self._bounded(transaction)
            except StoreUnavailable:
                await self._drop_writer()
                # A connection that died while idle. The server was not told to commit, so trying again is
                # safe; after that point it would not be, and is left to whoever knows the batch's id.
                if worked or not reused:
                    raise
                return await self._bounded(transaction)
            except BaseException:
                await self._drop_writer()
                raise

    async def _bounded(self, transaction: Callable[[], Awaitable[T]]) -> T:
        if self._closed:
            raise closed()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await transaction()
        except Exception as error:
            raise typed(error) from error

    async def _drop_writer(self) -> None:
        connection, self._writer = self._writer, None
        if connection is not None:
            try:
                async with asyncio.timeout(_DROP_S):
                    await connection.invalidate()
                    await connection.close()
            except Exception as error:
                if translate(error) is None:
                    raise

    def _encoding(self, connection: Connection) -> str:
        if self.kind == "postgresql":
            return str(connection.exec_driver_sql("SHOW server_encoding").scalar())
        return "utf8mb4"  # the tables say so themselves


def _be_strict(raw: Any, _record: Any) -> None:
    """What is refused must be the same whatever the server's defaults: nothing is cut silently."""
    cursor = raw.cursor()
    cursor.execute("SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'")
    cursor.close()
