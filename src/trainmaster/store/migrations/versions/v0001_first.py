"""The first schema."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql, sqlite

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

LongText = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
LongBytes = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
TaskKey = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")
BigId = sa.BigInteger().with_variant(sqlite.INTEGER(), "sqlite")
OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}
TABLES = (
    "dependency",
    "event",
    "idempotency",
    "label",
    "ledger",
    "log",
    "metric",
    "node",
    "quota",
    "run",
    "setting",
    "stream",
    "task",
    "token",
)


def upgrade() -> None:
    op.create_table(
        "dependency",
        sa.Column("task", sa.String(length=64), nullable=False),
        sa.Column("needs", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("task", "needs"),
        **OPTIONS,
    )
    op.create_index("dependency_needs", "dependency", ["needs"], unique=False)
    op.create_table(
        "event",
        sa.Column("seq", BigId, autoincrement=False, nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("task", sa.String(length=64), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("node", sa.String(length=255), nullable=True),
        sa.Column("reason", LongText, nullable=False),
        sa.Column("detail", LongText, nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        **OPTIONS,
    )
    op.create_index("event_task", "event", ["task", "seq"], unique=False)
    op.create_table(
        "idempotency",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=255), nullable=False),
        sa.Column("task", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        **OPTIONS,
    )
    op.create_index("idempotency_task", "idempotency", ["task"], unique=False)
    op.create_table(
        "label",
        sa.Column("task", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("value", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("task", "name"),
        **OPTIONS,
    )
    op.create_index("label_value", "label", ["name", "value", "task"], unique=False)
    op.create_table(
        "ledger",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("event_seq", sa.BigInteger(), nullable=False),
        sa.Column("log_id", sa.BigInteger(), nullable=False),
        sa.Column("recent", LongText, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **OPTIONS,
    )
    op.create_table(
        "log",
        sa.Column("id", BigId, autoincrement=False, nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("type", sa.String(length=8), nullable=False),
        sa.Column("task", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("run", sa.String(length=96), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("follows", sa.SmallInteger(), nullable=False),
        sa.Column("goes_on", sa.SmallInteger(), nullable=False),
        sa.Column("content", LongText, nullable=False),
        sa.Column("raw", LongBytes, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        **OPTIONS,
    )
    op.create_index("log_run", "log", ["run", "type", "id"], unique=False)
    op.create_index("log_task", "log", ["task", "follows", "id"], unique=False)
    op.create_index("log_time", "log", ["time"], unique=False)
    op.create_table(
        "metric",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("task", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("step", sa.Double(), nullable=False),
        sa.Column("metrics", LongText, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **OPTIONS,
    )
    op.create_index("metric_task", "metric", ["task", "time", "id"], unique=False)
    op.create_table(
        "node",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("address", LongText, nullable=False),
        sa.Column("cpu_m", sa.BigInteger(), nullable=False),
        sa.Column("memory", sa.BigInteger(), nullable=False),
        sa.Column("gpus", sa.Integer(), nullable=False),
        sa.Column("lanes", sa.Integer(), nullable=False),
        sa.Column("labels", LongText, nullable=False),
        sa.Column("gauges", LongText, nullable=False),
        sa.Column("performance_index", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("joined_at", sa.Double(), nullable=False),
        sa.Column("containers", sa.SmallInteger(), nullable=False),
        sa.Column("incarnation", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **OPTIONS,
    )
    op.create_table(
        "quota",
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("running_workers", sa.Integer(), nullable=True),
        sa.Column("queued_tasks", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("owner"),
        **OPTIONS,
    )
    op.create_table(
        "run",
        sa.Column("id", sa.String(length=96), nullable=False),
        sa.Column("task", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("node", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("cpu_m", sa.BigInteger(), nullable=False),
        sa.Column("memory", sa.BigInteger(), nullable=False),
        sa.Column("gpus", sa.Integer(), nullable=False),
        sa.Column("lanes", sa.Integer(), nullable=False),
        sa.Column("devices", LongText, nullable=False),
        sa.Column("launched_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("stopping", sa.SmallInteger(), nullable=False),
        sa.Column("exit_code", sa.BigInteger(), nullable=True),
        sa.Column("fault", sa.String(length=32), nullable=True),
        sa.Column("detail", LongText, nullable=True),
        sa.Column("result", LongText, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        **OPTIONS,
    )
    op.create_index("run_task", "run", ["task", "attempt", "rank"], unique=False)
    op.create_table(
        "setting",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("value", LongText, nullable=False),
        sa.PrimaryKeyConstraint("name"),
        **OPTIONS,
    )
    op.create_table(
        "stream",
        sa.Column("run", sa.String(length=96), nullable=False),
        sa.Column("type", sa.String(length=8), nullable=False),
        sa.Column("task", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("next", sa.BigInteger(), nullable=False),
        sa.Column("tail", LongBytes, nullable=False),
        sa.Column("follows", sa.SmallInteger(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("closed", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run", "type"),
        **OPTIONS,
    )
    op.create_index("stream_task", "stream", ["task"], unique=False)
    op.create_table(
        "task",
        sa.Column("id", TaskKey, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("priority", sa.Double(), nullable=False),
        sa.Column("urgency", sa.SmallInteger(), nullable=False),
        sa.Column("image", LongText, nullable=False),
        sa.Column("directory", LongText, nullable=False),
        sa.Column("volume", LongText, nullable=False),
        sa.Column("command", LongText, nullable=False),
        sa.Column("environment", LongText, nullable=False),
        sa.Column("submitted_at", sa.Double(), nullable=False),
        sa.Column("bumps", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("workers", sa.Integer(), nullable=False),
        sa.Column("intent", sa.String(length=16), nullable=False),
        sa.Column("queued_at", sa.Double(), nullable=True),
        sa.Column("not_before", sa.Double(), nullable=False),
        sa.Column("accepted_at", sa.Double(), nullable=True),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("first_started_at", sa.Double(), nullable=True),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("ran_s", sa.Double(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("interruptions", sa.Integer(), nullable=False),
        sa.Column("exit_code", sa.BigInteger(), nullable=True),
        sa.Column("preempting", sa.SmallInteger(), nullable=False),
        sa.Column("result", LongText, nullable=True),
        sa.Column("reason", LongText, nullable=False),
        sa.Column("spec", LongText, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **OPTIONS,
    )
    op.create_index("task_ended", "task", ["ended_at"], unique=False)
    op.create_index("task_owner", "task", ["owner", "seq"], unique=False)
    op.create_index("task_seq", "task", ["seq"], unique=True)
    op.create_index("task_status", "task", ["status", "seq"], unique=False)
    op.create_table(
        "token",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("digest", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("label", LongText, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        **OPTIONS,
    )
    op.execute("INSERT INTO ledger (id, version, event_seq, log_id, recent) VALUES (1, 0, 0, 0, '[]')")


def downgrade() -> None:
    for name in reversed(TABLES):
        op.drop_table(name)
