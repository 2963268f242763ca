"""Bring a database's schema to a version. Alembic is loaded only when there is something to change."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect

# The newest revision in `migrations/versions`; a test holds the two together.
HEAD = "0006"


def version(connection: Connection) -> str | None:
    """The revision a database is at, None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Up to `revision`."""
    if revision == "head" and version(connection) == HEAD:
        return
    from alembic import command
    from alembic.config import Config

    command.upgrade(_config(Config(), connection), revision)


def downgrade(connection: Connection, revision: str) -> None:
    """Down to `revision`; "base" removes every table."""
    from alembic import command
    from alembic.config import Config

    command.downgrade(_config(Config(), connection), revision)


def _config(config, connection: Connection):  # Alembic's import is lazy
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
