"""Triggers, and what became of their due times."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

LongText = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
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
        "time_trigger",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("owner", sa.String(255), nullable=False),
        sa.Column("paused", sa.SmallInteger, nullable=False),
        sa.Column("next_ms", sa.BigInteger),
        sa.Column("last_ms", sa.BigInteger),
        sa.Column("missed", sa.Integer, nullable=False),
        sa.Column("definition", LongText, nullable=False),
        **OPTIONS,
    )
    op.create_table(
        "firing",
        sa.Column("trigger_id", sa.String(64), primary_key=True),
        sa.Column("due_ms", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("cause", sa.String(16), nullable=False),
        sa.Column("decided_at", sa.Double, nullable=False),
        sa.Column("task", sa.String(64)),
        sa.Column("reason", LongText, nullable=False),
        **OPTIONS,
    )
    op.create_index("firing_decided", "firing", ["decided_at"])
    op.create_index("firing_outcome", "firing", ["outcome", "decided_at"])


def downgrade() -> None:
    op.drop_table("firing")
    op.drop_table("time_trigger")
