"""Driver errors as the domain's typed errors. No driver exception leaves the store."""

from __future__ import annotations

import asyncio
import errno
import sqlite3

from sqlalchemy import exc

from trainmaster.domain.errors import StoreFull, StoreRefused, StoreUnavailable, TrainmasterError

# MySQL: ER_DISK_FULL, ER_RECORD_FILE_FULL, ER_TEMP_FILE_WRITE_FAILURE, and "errno 28" inside a write error.
_MYSQL_FULL = {1021, 1114, 1878}
_MYSQL_WRITE = {3, 1026}
_POSTGRES_FULL = {"53100"}  # disk_full
_SQLITE_FULL = {sqlite3.SQLITE_FULL}

# The whole family is worth another try: no connection, no answer, locked, shutting down, read-only for now.
_UNAVAILABLE = (
    exc.OperationalError,
    exc.InterfaceError,
    exc.InternalError,
    exc.DisconnectionError,
    exc.TimeoutError,
    OSError,
    EOFError,
    TimeoutError,
    asyncio.TimeoutError,
    asyncio.IncompleteReadError,
    sqlite3.OperationalError,
    sqlite3.DatabaseError,
)


def translate(error: BaseException) -> TrainmasterError | None:
    """The typed error for a failure of the database, or None for one that is no business of the store."""
    if isinstance(error, TrainmasterError):
        return error
    cause = error.orig if isinstance(error, exc.DBAPIError) and error.orig is not None else error
    said = " ".join(str(cause).split())[:500]
    if _full(cause):
        return StoreFull(f"no space is left for the database: {said}", said=said)
    if isinstance(error, exc.DBAPIError) and _hopeless(error):
        return StoreRefused(f"the database refuses what it was given: {said}", said=said)
    if isinstance(error, (exc.DBAPIError, *_UNAVAILABLE)):
        return StoreUnavailable(f"the database does not answer: {said}", said=said)
    if _from_driver(error):
        return StoreUnavailable(f"the database connection failed: {said}", said=said)
    if isinstance(error, exc.SQLAlchemyError):
        return StoreRefused(f"the store asked the database wrongly: {said}", said=said)
    return None


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and len(found) < 8:
        found.append(at)
        at = at.__cause__ or at.__context__
    return found


def _full(cause: BaseException) -> bool:
    for error in _chain(cause):
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if getattr(error, "sqlite_errorcode", None) in _SQLITE_FULL:
            return True
        if getattr(error, "sqlstate", None) in _POSTGRES_FULL:
            return True
        number = error.args[0] if error.args else None
        if number in _MYSQL_FULL:
            return True
        if number in _MYSQL_WRITE and len(error.args) > 1:
            return "28" in str(error.args[1]) or "No space" in str(error.args[1])
    return False


def _hopeless(error: exc.DBAPIError) -> bool:
    """True where the same request would fail again: broken rules or values the columns cannot hold."""
    if error.connection_invalidated:
        return False
    return isinstance(
        error, exc.IntegrityError | exc.DataError | exc.ProgrammingError | exc.NotSupportedError
    )


def _from_driver(error: BaseException) -> bool:
    """asyncpg and asyncmy let some of their own errors through SQLAlchemy while they connect."""
    return type(error).__module__.split(".")[0] in ("asyncpg", "asyncmy", "pymysql")
