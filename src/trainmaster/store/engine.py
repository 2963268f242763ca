"""From an address to a database."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from trainmaster.domain.errors import InvalidStoreUrl
from trainmaster.store.database import Database
from trainmaster.store.server import DRIVERS, Server
from trainmaster.store.sqlite import SqliteFile


def connect(url: str, *, timeout_s: float = 30.0) -> Database:
    """The database at `url`, not opened yet. Raises InvalidStoreUrl.

    `timeout_s`: a server that has not answered a transaction by then counts as unavailable.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Without what may be a password.
        raise InvalidStoreUrl(f"{url.split('@')[-1]!r} is not the address of a database") from None
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise InvalidStoreUrl("SQLite needs a file: a database in memory would be lost with the service")
        return SqliteFile(Path(parsed.database))
    if kind not in DRIVERS:
        raise InvalidStoreUrl(f"{kind!r} is not a supported database")
    return Server(parsed, timeout_s)
