"""One store per adapter. The server and its schema are made once; each test finds the tables empty."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from trainmaster.store import SqlStore, schema

URLS = {"postgresql": "postgresql_server", "mariadb": "mariadb_server"}
ADAPTERS = [
    pytest.param("sqlite", id="sqlite"),
    *(pytest.param(name, id=name, marks=pytest.mark.needs(name)) for name in URLS),
]


def wipe(connection: Connection) -> None:
    """Empty every table, and begin to count anew."""
    for table in schema.metadata.tables.values():
        if table is not schema.ledger:
            connection.execute(table.delete())
    connection.execute(schema.ledger.update().values(version=0, event_seq=0, log_id=0, recent="[]", fence=0))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database at the newest schema, to be copied."""
    return tmp_path_factory.mktemp("template") / "store.db"


@pytest.fixture(params=ADAPTERS)
def store_url(request: pytest.FixtureRequest, tmp_path: Path, sqlite_template: Path) -> str:
    """The address of an adapter's database, at whatever schema it is."""
    if request.param == "sqlite":
        if sqlite_template.exists():
            shutil.copy(sqlite_template, tmp_path / "store.db")
        return f"sqlite:///{tmp_path}/store.db"
    return str(request.getfixturevalue(URLS[request.param]).url)


@pytest.fixture
async def store(store_url: str, tmp_path: Path, sqlite_template: Path) -> AsyncIterator[SqlStore]:
    opened = SqlStore(store_url)
    await opened.open()
    if not store_url.startswith("sqlite"):
        await opened._database.write(wipe)
    yield opened
    await opened.close()
    if store_url.startswith("sqlite") and not sqlite_template.exists():
        fresh = SqlStore(f"sqlite:///{sqlite_template}")
        await fresh.open()
        await fresh.close()
