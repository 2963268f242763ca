"""The schema's migrations, up and down, over every adapter."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

from tests.samples import make_record, make_task
from trainmaster.ports import Batch
from trainmaster.store import SqlStore, migrate, schema


async def test_down_removes_everything_and_up_brings_it_back(store: SqlStore) -> None:
    await store.commit(Batch(new_tasks=[make_task(1)], records=[make_record()]))
    write = store._database.write
    await write(lambda c: migrate.downgrade(c, "base"))
    assert set(await write(lambda c: inspect(c).get_table_names())) == {"alembic_version"}
    assert await write(migrate.version) is None
    await store.open()
    assert await write(migrate.version) == migrate.HEAD
    assert await store.commit(Batch(new_tasks=[make_task(1)], records=[make_record()])) == 1


async def test_migrations_build_what_the_code_expects(store: SqlStore) -> None:
    def differences(connection):  # type: ignore[no-untyped-def]
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, schema.metadata)

    assert await store._database.write(differences) == []


async def test_opening_again_changes_nothing(store: SqlStore) -> None:
    await store.commit(Batch(new_tasks=[make_task(1)]))
    await store.open()
    assert await store.counts() == {"QUEUED": 1}


async def test_every_statement_of_the_writer_names_every_column(store: SqlStore) -> None:
    """`rows` gives tuples in the order of the schema: a column added there must be added here."""
    columns = await store._database.read(
        lambda c: {
            name: [col["name"] for col in inspect(c).get_columns(name)] for name in schema.metadata.tables
        }
    )
    assert columns == {name: list(t.columns.keys()) for name, t in schema.metadata.tables.items()}


def test_the_newest_revision_is_the_one_the_code_knows() -> None:
    scripts = ScriptDirectory.from_config(migrate._config(Config(), None))
    assert scripts.get_heads() == [migrate.HEAD]
