"""Workflow runs that are firings of triggers, and what is known of firings that are not kept any more."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}


def upgrade() -> None:
    op.add_column("firing", sa.Column("workflow_run", sa.String(64)))
    op.add_column("workflow_run", sa.Column("begun_at", sa.Double()))
    op.add_column("workflow_run", sa.Column("start_at", sa.Double()))
    op.add_column("workflow_run", sa.Column("trigger_id", sa.String(64)))
    op.add_column("workflow_run", sa.Column("due_ms", sa.BigInteger()))
    op.execute("UPDATE workflow_run SET begun_at = created_at")
    op.create_table(
        "forgotten",
        sa.Column("trigger_id", sa.String(64), nullable=False),
        sa.Column("first_ms", sa.BigInteger(), nullable=False),
        sa.Column("last_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("trigger_id"),
        **OPTIONS,
    )


def downgrade() -> None:
    op.drop_table("forgotten")
    with op.batch_alter_table("workflow_run") as run:
        for column in ("due_ms", "trigger_id", "start_at", "begun_at"):
            run.drop_column(column)
    with op.batch_alter_table("firing") as firing:
        firing.drop_column("workflow_run")
