"""Values as rows."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from tests.samples import make_task
from trainmaster.domain.ids import TaskId
from trainmaster.domain.task import TaskKind
from trainmaster.store import rows, schema
from trainmaster.store.writer import short


@given(st.text(alphabet=st.characters()))
def test_plain_text_is_what_every_database_takes(text: str) -> None:
    found = rows.plain(text)
    found.encode()
    assert "\0" not in found
    assert len(found) == len(text)
    assert found == text or any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text)


def test_numbers_without_a_place_in_sql() -> None:
    assert [rows.finite(x) for x in (math.nan, math.inf, -math.inf, -1.5)] == [0.0, 0.0, 0.0, -1.5]


def test_a_task_row_carries_the_columns_of_dtes() -> None:
    task = make_task(
        7,
        kind=TaskKind.CONTAINER,
        command=("python", "train me.py", "--lr=0.1"),
        image="pytorch:2",
        directory="/code",
        volumes=("/data:/data:ro",),
        environment=(("SEED", "1"),),
        priority=2.5,
    )
    row = dict(zip(schema.task.columns.keys(), rows.task_row(task), strict=True))
    dtes = ("id", "priority", "status", "image", "directory", "volume", "command", "environment")
    assert [row[name] for name in dtes] == [
        task.id,
        2.5,
        "QUEUED",
        "pytorch:2",
        "/code",
        '["/data:/data:ro"]',
        "python 'train me.py' --lr=0.1",
        '{"SEED":"1"}',
    ]


def test_changes_are_the_columns_that_are_named() -> None:
    task = make_task(1)
    row = dict(zip(schema.task.columns.keys(), rows.task_row(task), strict=True))
    assert rows.task_changes(task) == (*(row[name] for name in rows.TASK_CHANGES), task.id)


def test_a_function_is_its_own_command() -> None:
    task = make_task(1, kind=TaskKind.FUNCTION, function="jobs:clean", command=())
    assert rows.task_row(task)[11] == "jobs:clean"


def test_labels_and_dependencies_have_one_row_each() -> None:
    task = make_task(
        1, labels=(("a", "1"), ("a", "2"), ("b", "\0")), after=(TaskId("x"), TaskId("x"), TaskId("y"))
    )
    assert rows.label_rows(task) == [(task.id, "a", "2"), (task.id, "b", "\ufffd")]
    assert rows.dependency_rows(task) == [(task.id, "x"), (task.id, "y")]


def test_idempotency_keys_fit_their_column_and_stay_apart() -> None:
    keys = ["k", "k" * 255, "k" * 256, "k" * 257, "\0", "\ufffd", "\udc80", "k "]
    stored = [short(key) for key in keys]
    assert len(set(stored)) == len(keys)
    assert all(len(key) <= schema.KEY for key in stored)
    assert stored[:2] == keys[:2]
