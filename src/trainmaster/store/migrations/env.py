"""Run by Alembic over the connection that `store.migrate` hands it."""

from alembic import context

from trainmaster.store.schema import metadata

connection = context.config.attributes["connection"]
# SQLite alters tables by copying them, hence the batch mode.
context.configure(
    connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite"
)
with context.begin_transaction():
    context.run_migrations()
