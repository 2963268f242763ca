"""The history of the schema (Alembic), shipped with the package."""
