"""Workflows, their runs, and which part of a run a task is."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

LongText = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
RunKey = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}


def upgrade() -> None:
    op.create_table(
        "workflow",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("version", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("spec", LongText, nullable=False),
        sa.PrimaryKeyConstraint("name", "version"),
        **OPTIONS,
    )
    op.create_table(
        "workflow_run",
        sa.Column("id", RunKey, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("workflow", sa.String(100), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("ended_at", sa.Double),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("since", LongText, nullable=False),
        sa.Column("depth", sa.Integer, nullable=False),
        sa.Column("parent_run", sa.String(64)),
        sa.Column("parent", LongText),
        sa.Column("stopping", sa.String(16), nullable=False),
        sa.Column("reason", LongText, nullable=False),
        sa.Column("parameters", LongText, nullable=False),
        sa.Column("outputs", LongText, nullable=False),
        sa.Column("pins", LongText, nullable=False),
        sa.Column("stages", LongText, nullable=False),
        sa.Column("plan", LongText, nullable=False),
        sa.Column("forecast_s", sa.Double),
        sa.PrimaryKeyConstraint("id"),
        **OPTIONS,
    )
    op.create_index("workflow_run_seq", "workflow_run", ["seq"], unique=True)
    op.create_index("workflow_run_status", "workflow_run", ["status", "seq"])
    op.create_index("workflow_run_workflow", "workflow_run", ["workflow", "seq"])
    op.create_index("workflow_run_parent", "workflow_run", ["parent_run"])
    op.add_column("task", sa.Column("workflow_run", sa.String(64)))
    op.add_column("task", sa.Column("stage", sa.String(100)))
    op.add_column("task", sa.Column("part", LongText))
    op.create_index("task_workflow_run", "task", ["workflow_run", "stage", "seq"])


def downgrade() -> None:
    op.drop_index("task_workflow_run", "task")
    with op.batch_alter_table("task") as task:
        task.drop_column("part")
        task.drop_column("stage")
        task.drop_column("workflow_run")
    op.drop_table("workflow_run")
    op.drop_table("workflow")
