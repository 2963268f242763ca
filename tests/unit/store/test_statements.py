"""Statements for many rows, per dialect."""

from __future__ import annotations

import pytest
from sqlalchemy.dialects import mysql, postgresql, sqlite

from trainmaster.store import schema
from trainmaster.store.statements import Statements


def test_insert_leaves_out_generated_keys() -> None:
    sql = Statements(sqlite.dialect()).insert(schema.metric).sql
    assert sql == "INSERT INTO metric (task, attempt, rank, time, step, metrics) VALUES (?, ?, ?, ?, ?, ?)"


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        (
            sqlite.dialect(),
            "INSERT INTO setting (name, value) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        ),
        (
            postgresql.dialect(),
            "INSERT INTO setting (name, value) VALUES ($1, $2)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        ),
        (
            mysql.dialect(),
            "INSERT INTO setting (name, value) VALUES (%s, %s) ON DUPLICATE KEY UPDATE value = VALUES(value)",
        ),
    ],
    ids=["sqlite", "postgresql", "mysql"],
)
def test_upsert(dialect: object, expected: str) -> None:
    assert Statements(dialect).upsert(schema.setting).sql == expected  # type: ignore[arg-type]


def test_update() -> None:
    make = Statements(postgresql.dialect())
    assert (
        make.update(schema.task, ("status", "bumps")).sql
        == "UPDATE task SET status = $1, bumps = $2 WHERE id = $3"
    )
