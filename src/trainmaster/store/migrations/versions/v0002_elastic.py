"""Elastic tasks: the worker count somebody asked for, and the membership of their groups."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("task", sa.Column("pinned", sa.Integer))
    op.add_column(
        "task", sa.Column("membership", sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb"))
    )


def downgrade() -> None:
    with op.batch_alter_table("task") as task:
        task.drop_column("membership")
        task.drop_column("pinned")
