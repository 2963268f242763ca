"""Statements for many rows at once, written once per dialect and handed to the driver as they are.

SQLAlchemy's own compiled statements cost more per row than SQLite takes to store it; these are plain text,
made from the table definitions at start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Table

# Rows in one UPDATE on MySQL, whose protocol has no pipelining.
JOINED_ROWS = 200

Row = tuple[Any, ...]


class Statements:
    """Makes statements for one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self.kind = "mysql" if dialect.name in ("mysql", "mariadb") else dialect.name
        self._quote = dialect.identifier_preparer.quote

    def insert(self, table: Table) -> Many:
        """Insert rows given as tuples in the order of the table's columns (less a generated key)."""
        return Many(self._insert(table))

    def upsert(self, table: Table) -> Many:
        """Insert, or replace everything but the key where the key exists."""
        keys = [self._quote(c.name) for c in table.primary_key]
        rest = [self._quote(c.name) for c in table.columns if not c.primary_key]
        if self.kind == "mysql":
            sets = ", ".join(f"{c} = VALUES({c})" for c in rest)
            return Many(f"{self._insert(table)} ON DUPLICATE KEY UPDATE {sets}")
        sets = ", ".join(f"{c} = excluded.{c}" for c in rest)
        return Many(f"{self._insert(table)} ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {sets}")

    def update(self, table: Table, columns: Sequence[str]) -> Many:
        """Set `columns`; rows are those values in order, then the primary key."""
        name = self._quote(table.name)
        key = self._quote(next(iter(table.primary_key)).name)
        quoted = [self._quote(c) for c in columns]
        if self.kind == "mysql":
            return Joined(name, quoted, key)
        marks = self._marks(len(columns) + 1)
        sets = ", ".join(f"{c} = {mark}" for c, mark in zip(quoted, marks, strict=False))
        return Many(f"UPDATE {name} SET {sets} WHERE {key} = {marks[-1]}")

    def _insert(self, table: Table) -> str:
        columns = [self._quote(c.name) for c in table.columns if c.autoincrement is not True]
        marks = ", ".join(self._marks(len(columns)))
        return f"INSERT INTO {self._quote(table.name)} ({', '.join(columns)}) VALUES ({marks})"

    def _marks(self, count: int) -> list[str]:
        if self.kind == "postgresql":
            return [f"${n}" for n in range(1, count + 1)]
        return ["%s" if self.kind == "mysql" else "?"] * count


class Many:
    """A statement run once for each row, by the driver."""

    def __init__(self, sql: str) -> None:
        self.sql = sql

    def run(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Run for all rows; none is fine."""
        if len(rows) == 1:
            connection.exec_driver_sql(self.sql, rows[0])
        elif rows:
            connection.exec_driver_sql(self.sql, list(rows))


class Joined(Many):
    """An UPDATE of many rows in one statement: MySQL would otherwise need a round trip for each."""

    def __init__(self, table: str, columns: Sequence[str], key: str) -> None:
        names = [*columns, key]
        sets = ", ".join(f"t.{c} = v.{c}" for c in columns)
        self._head = f"UPDATE {table} AS t JOIN (SELECT " + ", ".join(f"%s AS {c}" for c in names)
        self._more = " UNION ALL SELECT " + ", ".join(["%s"] * len(names))
        self._foot = f") AS v ON t.{key} = v.{key} SET {sets}"
        super().__init__(self._head + self._foot)

    def run(self, connection: Connection, rows: Sequence[Row]) -> None:
        for begin in range(0, len(rows), JOINED_ROWS):
            part = rows[begin : begin + JOINED_ROWS]
            sql = self._head + self._more * (len(part) - 1) + self._foot
            connection.exec_driver_sql(sql, tuple(value for row in part for value in row))
