"""Driver errors as typed errors."""

from __future__ import annotations

import errno
import sqlite3

import pytest
from sqlalchemy import exc

from trainmaster.domain.errors import (
    InvalidQuery,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
    TrainmasterError,
)
from trainmaster.store.errors import translate


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("from SQLite")
    error.sqlite_errorcode = code
    return error


class PostgresError(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__("from PostgreSQL")
        self.sqlstate = sqlstate


def wrapped(kind: type[exc.DBAPIError], cause: BaseException, gone: bool = False) -> exc.DBAPIError:
    return kind("INSERT", {}, cause, connection_invalidated=gone)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (wrapped(exc.OperationalError, sqlite_error(sqlite3.SQLITE_FULL)), StoreFull),
        (wrapped(exc.DBAPIError, PostgresError("53100")), StoreFull),
        (wrapped(exc.OperationalError, Exception(1114, "The table 'log' is full")), StoreFull),
        (wrapped(exc.OperationalError, Exception(1021, "Disk full")), StoreFull),
        (wrapped(exc.OperationalError, Exception(3, "Error writing file (Errcode: 28)")), StoreFull),
        (OSError(errno.ENOSPC, "No space left on device"), StoreFull),
        (wrapped(exc.OperationalError, sqlite_error(sqlite3.SQLITE_BUSY)), StoreUnavailable),
        (wrapped(exc.OperationalError, sqlite_error(sqlite3.SQLITE_IOERR)), StoreUnavailable),
        (wrapped(exc.OperationalError, Exception(2013, "Lost connection")), StoreUnavailable),
        (wrapped(exc.DBAPIError, PostgresError("57P01"), gone=True), StoreUnavailable),
        (wrapped(exc.ProgrammingError, Exception("closed"), gone=True), StoreUnavailable),
        (exc.TimeoutError("pool"), StoreUnavailable),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), StoreUnavailable),
        (TimeoutError(), StoreUnavailable),
        (EOFError(), StoreUnavailable),
        (wrapped(exc.IntegrityError, Exception(1062, "Duplicate entry")), StoreRefused),
        (wrapped(exc.DataError, Exception("too long")), StoreRefused),
        (exc.ResourceClosedError("no rows"), StoreRefused),
    ],
)
def test_kinds(error: Exception, expected: type[TrainmasterError]) -> None:
    found = translate(error)
    assert type(found) is expected
    assert found.remedy and str(found)


def test_the_cause_of_a_cause_counts() -> None:
    cause = Exception("write failed")
    cause.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert type(translate(wrapped(exc.OperationalError, cause))) is StoreFull


def test_what_is_not_the_databases_fault_is_left_alone() -> None:
    assert translate(ValueError("a defect")) is None
    typed = InvalidQuery("wrong")
    assert translate(typed) is typed
