"""Alarms (rules, channels, what was raised and sent), and replicas (leases, registry, letters)."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

LongText = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
TaskKey = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
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
        "alarm_rule",
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("spec", LongText, nullable=False),
        sa.PrimaryKeyConstraint("name"),
        **OPTIONS,
    )
    op.create_table(
        "alarm_channel",
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("settings", LongText, nullable=False),
        sa.Column("enabled", sa.SmallInteger(), nullable=False),
        sa.Column("changed_at", sa.Double(), nullable=False),
        sa.Column("changed_by", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        **OPTIONS,
    )
    op.create_table(
        "alarm",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("rule", sa.String(255), nullable=False),
        sa.Column("grouped", sa.String(255), nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("content", LongText, nullable=False),
        sa.Column("opened_at", sa.Double(), nullable=False),
        sa.Column("last_at", sa.Double(), nullable=False),
        sa.Column("occurrences", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.Column("resolved_at", sa.Double()),
        sa.Column("acknowledged_at", sa.Double()),
        sa.Column("acknowledged_by", sa.String(255)),
        sa.PrimaryKeyConstraint("id"),
        **OPTIONS,
    )
    op.create_index("alarm_opened", "alarm", ["opened_at", "id"])
    op.create_index("alarm_resolved", "alarm", ["resolved_at"])
    op.create_table(
        "alarm_send",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("channel", sa.String(255), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=False),
        sa.Column("notices", LongText, nullable=False),
        sa.Column("more", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.Double()),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("error", LongText, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **OPTIONS,
    )
    op.create_index("alarm_send_status", "alarm_send", ["status", "due_at"])
    op.create_index("alarm_send_created", "alarm_send", ["created_at", "id"])
    op.add_column("ledger", sa.Column("fence", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "lease",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        **OPTIONS,
    )
    op.create_table(
        "replica",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("roles", LongText, nullable=False),
        sa.Column("url", LongText, nullable=False),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("beat_at", sa.Double(), nullable=False),
        sa.Column("detail", LongText, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **OPTIONS,
    )
    op.create_table(
        "letter",
        sa.Column("task", TaskKey, nullable=False),
        sa.Column("name", sa.String(255)),
        sa.Column("digest", sa.String(255), nullable=False),
        sa.Column("made_at", sa.Double(), nullable=False),
        sa.Column("spec", LongText, nullable=False),
        sa.Column("refusal", LongText),
        sa.PrimaryKeyConstraint("task"),
        **OPTIONS,
    )
    op.create_index("letter_name", "letter", ["name"], unique=True)


def downgrade() -> None:
    for table in ("letter", "replica", "lease"):
        op.drop_table(table)
    with op.batch_alter_table("ledger") as ledger:
        ledger.drop_column("fence")
    for table in ("alarm_send", "alarm", "alarm_channel", "alarm_rule"):
        op.drop_table(table)
