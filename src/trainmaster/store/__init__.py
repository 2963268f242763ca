"""The truth in a database: SQLite, PostgreSQL, MySQL or MariaDB."""

from trainmaster.store.store import SqlStore

__all__ = ["SqlStore"]
