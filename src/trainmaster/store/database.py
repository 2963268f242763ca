"""What the store needs of a database: reads side by side, writes one after the other.

Work is a plain function of a SQLAlchemy `Connection`, so that all queries are written once. How it gets a
connection is the adapters' business: `sqlite` and `server`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Dialect

from trainmaster.domain.errors import StoreUnavailable
from trainmaster.store.errors import translate

T = TypeVar("T")
Work = Callable[[Connection], T]

# Connections that read at the same time.
READERS = 3


class Database(Protocol):
    """`read` and `write` run work in one transaction. They raise the errors of the store."""

    @property
    def dialect(self) -> Dialect: ...

    async def open(self) -> None:
        """Connect; SQLite makes the file if need be."""
        ...

    async def close(self) -> None: ...

    async def read(self, work: Work[T]) -> T: ...

    async def write(self, work: Work[T], done: Callable[[T], None] | None = None) -> T:
        """As `read`, durable when it returns; one at a time in this process.

        `done` is called with the result once it is durable, before the next write begins.
        """
        ...


def typed(error: Exception) -> Exception:
    """The error to raise for one that came up during work."""
    found = translate(error)
    return error if found is None else found


def closed() -> StoreUnavailable:
    return StoreUnavailable("the store is closed", remedy="open a new one")
