"""The tables. Times are seconds since the epoch, as doubles; JSON and lists are kept as text.

`task` and `log` carry the columns of DTES's tables of the same names (`status`, `image`, `directory`,
`volume`, `command`, `environment`; `time`, `type`, `content`), so that plain SQL reads them.
Numbers of records (`event.seq`) and of log rows (`log.id`) are given out by the one row of `ledger`, inside
the transaction that writes them: they grow strictly in the order of commits on every database.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects import mysql, sqlite

# Lengths of names, in characters. MySQL needs them, and an index key there has at most 3072 bytes.
NAME = 64
RUN = 96  # task.attempt.rank
KEY = 255

# MySQL's TEXT ends at 64 KB.
LongText = Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
LongBytes = LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
# Only "INTEGER PRIMARY KEY" is SQLite's own row number, which makes appending cheap.
BigId = BigInteger().with_variant(sqlite.INTEGER(), "sqlite")

# PostgreSQL sorts by the rules of a language unless told otherwise; ids are looked up by how they begin.
TaskKey = String(NAME).with_variant(String(NAME, collation="C"), "postgresql")

# Ids and keys compare byte by byte everywhere, as they do in Python.
OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mariadb_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
}

metadata = MetaData()

ledger = Table(
    "ledger",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("version", BigInteger, nullable=False),  # commits so far
    Column("event_seq", BigInteger, nullable=False),  # of the last record
    Column("log_id", BigInteger, nullable=False),  # of the last log row
    Column("recent", LongText, nullable=False),  # JSON: [batch id, its last record] of the latest batches
    Column("fence", BigInteger, nullable=False, server_default="0"),  # token of the leader that may commit
    **OPTIONS,
)

task = Table(
    "task",
    metadata,
    Column("id", TaskKey, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("name", String(200), nullable=False),
    Column("owner", String(KEY), nullable=False),  # `user` is a function in PostgreSQL
    Column("kind", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("priority", Double, nullable=False),
    Column("urgency", SmallInteger, nullable=False),
    Column("image", LongText, nullable=False),
    Column("directory", LongText, nullable=False),
    Column("volume", LongText, nullable=False),  # JSON list
    Column("command", LongText, nullable=False),  # as a shell would take it
    Column("environment", LongText, nullable=False),  # JSON object
    Column("submitted_at", Double, nullable=False),
    Column("bumps", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("workers", Integer, nullable=False),
    Column("intent", String(16), nullable=False),
    Column("queued_at", Double),
    Column("not_before", Double, nullable=False),
    Column("accepted_at", Double),
    Column("started_at", Double),
    Column("first_started_at", Double),
    Column("ended_at", Double),
    Column("ran_s", Double, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("losses", Integer, nullable=False),
    Column("interruptions", Integer, nullable=False),
    Column("exit_code", BigInteger),
    Column("preempting", SmallInteger, nullable=False),
    Column("result", LongText),
    Column("reason", LongText, nullable=False),
    Column("spec", LongText, nullable=False),  # JSON: all of it, as submitted
    Column("pinned", Integer),
    Column("membership", LongText),  # JSON: the elastic group of the current attempt
    Column("workflow_run", String(NAME)),
    Column("stage", String(100)),
    Column("part", LongText),  # JSON list: key, round, index, total
    Index("task_seq", "seq", unique=True),
    Index("task_status", "status", "seq"),
    Index("task_owner", "owner", "seq"),
    Index("task_ended", "ended_at"),
    Index("task_workflow_run", "workflow_run", "stage", "seq"),
    **OPTIONS,
)

label = Table(
    "label",
    metadata,
    Column("task", String(NAME), primary_key=True),
    Column("name", String(KEY), primary_key=True),
    Column("value", String(KEY), nullable=False),
    Index("label_value", "name", "value", "task"),
    **OPTIONS,
)

dependency = Table(
    "dependency",
    metadata,
    Column("task", String(NAME), primary_key=True),
    Column("needs", String(NAME), primary_key=True),
    Index("dependency_needs", "needs"),
    **OPTIONS,
)

run = Table(
    "run",
    metadata,
    Column("id", String(RUN), primary_key=True),
    Column("task", String(NAME), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("node", String(KEY), nullable=False),
    Column("status", String(16), nullable=False),
    Column("cpu_m", BigInteger, nullable=False),
    Column("memory", BigInteger, nullable=False),
    Column("gpus", Integer, nullable=False),
    Column("lanes", Integer, nullable=False),
    Column("devices", LongText, nullable=False),  # JSON list
    Column("launched_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("stopping", SmallInteger, nullable=False),
    Column("exit_code", BigInteger),
    Column("fault", String(32)),  # NULL until the outcome is known, then "" or a fault
    Column("detail", LongText),
    Column("result", LongText),
    Index("run_task", "task", "attempt", "rank"),
    **OPTIONS,
)

event = Table(
    "event",
    metadata,
    Column("seq", BigId, primary_key=True, autoincrement=False),
    Column("time", Double, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("task", String(NAME)),
    Column("attempt", Integer),
    Column("node", String(KEY)),
    Column("reason", LongText, nullable=False),
    Column("detail", LongText, nullable=False),  # JSON object
    Index("event_task", "task", "seq"),
    **OPTIONS,
)

log = Table(
    "log",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    Column("time", Double, nullable=False),
    Column("type", String(8), nullable=False),
    Column("task", String(NAME), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("run", String(RUN), nullable=False),
    Column("start", BigInteger, nullable=False),  # of its first byte in the stream
    Column("size", Integer, nullable=False),  # bytes
    Column("lines", Integer, nullable=False),  # that begin in this row; 0: it continues a long line
    Column("follows", SmallInteger, nullable=False),  # 1: it continues a long line
    Column("goes_on", SmallInteger, nullable=False),  # 1: its last line continues in the stream's next row
    Column("content", LongText, nullable=False),
    Column("raw", LongBytes),  # the exact bytes, where `content` cannot hold them
    Index("log_task", "task", "follows", "id"),
    Index("log_run", "run", "type", "id"),
    Index("log_time", "time"),
    **OPTIONS,
)

stream = Table(
    "stream",
    metadata,
    Column("run", String(RUN), primary_key=True),
    Column("type", String(8), primary_key=True),
    Column("task", String(NAME), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("next", BigInteger, nullable=False),  # the offset of the next byte wanted
    Column("tail", LongBytes, nullable=False),  # the line that has not ended yet
    Column("follows", SmallInteger, nullable=False),  # 1: log rows already hold the beginning of that line
    Column("time", Double, nullable=False),  # when the latest byte was read
    Column("closed", SmallInteger, nullable=False),
    Index("stream_task", "task"),
    **OPTIONS,
)

metric = Table(
    "metric",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("task", String(NAME), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("time", Double, nullable=False),
    Column("step", Double, nullable=False),
    Column("metrics", LongText, nullable=False),  # JSON object
    Index("metric_task", "task", "time", "id"),
    **OPTIONS,
)

time_trigger = Table(  # TRIGGER is a word of SQL
    "time_trigger",
    metadata,
    Column("id", String(NAME), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("owner", String(KEY), nullable=False),
    Column("paused", SmallInteger, nullable=False),
    Column("next_ms", BigInteger),  # the due time to be decided on next
    Column("last_ms", BigInteger),  # the latest that was decided on
    Column("missed", Integer, nullable=False),  # in a row
    Column("definition", LongText, nullable=False),  # JSON: rule, policies, and what it starts
    **OPTIONS,
)

firing = Table(
    "firing",
    metadata,
    Column("trigger_id", String(NAME), primary_key=True),
    Column("due_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("outcome", String(16), nullable=False),
    Column("cause", String(16), nullable=False),
    Column("decided_at", Double, nullable=False),
    Column("task", String(NAME)),
    Column("reason", LongText, nullable=False),
    Column("workflow_run", String(NAME)),
    Index("firing_decided", "decided_at"),
    Index("firing_outcome", "outcome", "decided_at"),
    **OPTIONS,
)

# Of each trigger the due times between which something fired whose row is not kept any more.
forgotten = Table(
    "forgotten",
    metadata,
    Column("trigger_id", String(NAME), primary_key=True),
    Column("first_ms", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False),
    **OPTIONS,
)

node = Table(
    "node",
    metadata,
    Column("id", String(KEY), primary_key=True),
    Column("status", String(16), nullable=False),
    Column("address", LongText, nullable=False),
    Column("cpu_m", BigInteger, nullable=False),
    Column("memory", BigInteger, nullable=False),
    Column("gpus", Integer, nullable=False),
    Column("lanes", Integer, nullable=False),
    Column("labels", LongText, nullable=False),  # JSON list of pairs
    Column("gauges", LongText, nullable=False),  # JSON object
    Column("performance_index", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("joined_at", Double, nullable=False),
    Column("containers", SmallInteger, nullable=False),
    Column("incarnation", String(KEY), nullable=False),
    **OPTIONS,
)

quota = Table(
    "quota",
    metadata,
    Column("owner", String(KEY), primary_key=True),
    Column("running_workers", Integer),
    Column("queued_tasks", Integer),
    **OPTIONS,
)

setting = Table(
    "setting",
    metadata,
    Column("name", String(KEY), primary_key=True),
    Column("value", LongText, nullable=False),
    **OPTIONS,
)

workflow = Table(
    "workflow",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
    Column("owner", String(KEY), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("spec", LongText, nullable=False),  # JSON
    **OPTIONS,
)

workflow_run = Table(
    "workflow_run",
    metadata,
    Column("id", TaskKey, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("workflow", String(100), nullable=False),
    Column("version", Integer, nullable=False),
    Column("owner", String(KEY), nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("round", Integer, nullable=False),
    Column("since", LongText, nullable=False),  # JSON list: of each stage the first round whose parts count
    Column("depth", Integer, nullable=False),
    Column("parent_run", String(NAME)),
    Column("parent", LongText),  # JSON list: stage, key, round, index, total
    Column("stopping", String(16), nullable=False),
    Column("reason", LongText, nullable=False),
    Column("parameters", LongText, nullable=False),  # JSON object
    Column("outputs", LongText, nullable=False),  # JSON object
    Column("pins", LongText, nullable=False),  # JSON list of (workflow, version)
    Column("stages", LongText, nullable=False),  # a letter for each, once it has ended
    Column("plan", LongText, nullable=False),  # JSON object: stage to (node, position, start)
    Column("forecast_s", Double),
    Column("begun_at", Double),
    Column("start_at", Double),
    Column("trigger_id", String(NAME)),  # of the firing that it is
    Column("due_ms", BigInteger),
    Index("workflow_run_seq", "seq", unique=True),
    Index("workflow_run_status", "status", "seq"),
    Index("workflow_run_workflow", "workflow", "seq"),
    Index("workflow_run_parent", "parent_run"),
    **OPTIONS,
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("name", String(KEY), primary_key=True),
    Column("digest", String(KEY), nullable=False),
    Column("task", String(NAME), nullable=False),
    Index("idempotency_task", "task"),
    **OPTIONS,
)

token = Table(
    "token",
    metadata,
    Column("id", String(KEY), primary_key=True),
    Column("digest", String(KEY), nullable=False),
    Column("owner", String(KEY), nullable=False),
    Column("role", String(32), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("label", LongText, nullable=False),
    **OPTIONS,
)

alarm_rule = Table(
    "alarm_rule",
    metadata,
    Column("name", String(KEY), primary_key=True),
    Column("spec", LongText, nullable=False),  # JSON: all of it
    **OPTIONS,
)

alarm_channel = Table(
    "alarm_channel",
    metadata,
    Column("name", String(KEY), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("settings", LongText, nullable=False),  # JSON object, with its secrets
    Column("enabled", SmallInteger, nullable=False),
    Column("changed_at", Double, nullable=False),
    Column("changed_by", String(KEY), nullable=False),
    **OPTIONS,
)

# Who takes care of an alarm is written by whoever is told so, the rest by the one that evaluates rules.
alarm = Table(
    "alarm",
    metadata,
    Column("id", String(NAME), primary_key=True),
    Column("rule", String(KEY), nullable=False),
    Column("grouped", String(KEY), nullable=False),
    Column("severity", String(16), nullable=False),
    Column("content", LongText, nullable=False),
    Column("opened_at", Double, nullable=False),
    Column("last_at", Double, nullable=False),
    Column("occurrences", BigInteger, nullable=False),
    Column("told", Integer, nullable=False),
    Column("resolved_at", Double),
    Column("acknowledged_at", Double),
    Column("acknowledged_by", String(KEY)),
    Index("alarm_opened", "opened_at", "id"),
    Index("alarm_resolved", "resolved_at"),
    **OPTIONS,
)

alarm_send = Table(
    "alarm_send",
    metadata,
    Column("id", String(NAME), primary_key=True),
    Column("channel", String(KEY), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("notices", LongText, nullable=False),  # JSON list
    Column("more", Integer, nullable=False),  # notices only counted
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("sent_at", Double),
    Column("code", String(NAME), nullable=False),  # of the latest error
    Column("error", LongText, nullable=False),
    Index("alarm_send_status", "status", "due_at"),
    Index("alarm_send_created", "created_at", "id"),
    **OPTIONS,
)

lease = Table(
    "lease",
    metadata,
    Column("name", String(NAME), primary_key=True),
    Column("holder", String(NAME), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("until_at", Double, nullable=False),  # by this database's clock
    **OPTIONS,
)

replica = Table(
    "replica",
    metadata,
    Column("id", String(NAME), primary_key=True),
    Column("host", String(KEY), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("roles", LongText, nullable=False),  # JSON list
    Column("url", LongText, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("beat_at", Double, nullable=False),  # by this database's clock
    Column("detail", LongText, nullable=False),  # JSON object
    **OPTIONS,
)

# Submissions accepted while nobody led; the next leader makes tasks of them.
letter = Table(
    "letter",
    metadata,
    Column("task", TaskKey, primary_key=True),
    Column("name", String(KEY)),  # idempotency key
    Column("digest", String(KEY), nullable=False),
    Column("made_at", Double, nullable=False),
    Column("spec", LongText, nullable=False),  # JSON
    Column("refusal", LongText),  # JSON, of one that can be no task
    Index("letter_name", "name", unique=True),
    **OPTIONS,
)
