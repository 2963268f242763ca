"""Alarms in the database: rules, channels, what was raised and what was sent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Table, and_, bindparam, func, or_, select

from trainmaster.domain.alarm import (
    Alarm,
    AlarmBatch,
    Channel,
    ChannelKind,
    Happened,
    Idle,
    Late,
    Notice,
    Rule,
    Send,
    SendState,
    Severity,
)
from trainmaster.domain.errors import Deposed
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.task import TaskKind
from trainmaster.store import rows, schema
from trainmaster.store.database import Database
from trainmaster.store.leases import ALARM

CURSOR, WATCHES = "alarm-cursor", "alarm-watches"  # names of settings
_SHARE = 500  # ids in one statement
_IDLE = 1000  # tasks of each kind in one look
_WAITING = (TaskState.QUEUED.value, TaskState.INTERRUPTED.value)


class SqlAlarms:
    """What `alarms` keeps. Raises the errors of the store.

    `token`: of the lease under which rules are evaluated; evaluations and messages of an older one are
    refused with Deposed. None where nobody else evaluates.
    """

    def __init__(self, database: Database, token: int | None = None) -> None:
        self._database = database
        self._token = token

    def under(self, token: int) -> SqlAlarms:
        """The same, as the holder of the lease."""
        return SqlAlarms(self._database, token)

    # --- rules and channels --------------------------------------------------------------------------------

    async def rules(self) -> list[Rule]:
        """By name."""

        def work(connection: Connection) -> list[Rule]:
            found = connection.execute(select(schema.alarm_rule).order_by(schema.alarm_rule.c.name))
            return [Rule.from_dict(json.loads(row.spec)) for row in found]

        return await self._database.read(work)

    async def put_rule(self, rule: Rule) -> None:
        row = {"name": rule.name, "spec": json.dumps(rule.to_dict())}
        await self._database.write(lambda c: _put(c, schema.alarm_rule, "name", [row]))

    async def drop_rule(self, name: str) -> bool:
        return await self._database.write(lambda c: _drop(c, schema.alarm_rule, name))

    async def channels(self) -> list[Channel]:
        """By name, secrets included."""

        def work(connection: Connection) -> list[Channel]:
            found = connection.execute(select(schema.alarm_channel).order_by(schema.alarm_channel.c.name))
            return [
                Channel(
                    row.name, ChannelKind(row.kind), json.loads(row.settings), bool(row.enabled),
                    row.changed_at, row.changed_by,
                )
                for row in found
            ]  # fmt: skip

        return await self._database.read(work)

    async def put_channel(self, channel: Channel) -> None:
        row = {
            "name": channel.name,
            "kind": channel.kind.value,
            "settings": json.dumps(channel.settings),
            "enabled": int(channel.enabled),
            "changed_at": channel.changed_at,
            "changed_by": rows.plain(channel.changed_by)[: schema.KEY],
        }
        await self._database.write(lambda c: _put(c, schema.alarm_channel, "name", [row]))

    async def drop_channel(self, name: str) -> bool:
        return await self._database.write(lambda c: _drop(c, schema.alarm_channel, name))

    # --- what rules look at --------------------------------------------------------------------------------

    async def last_record(self) -> int:
        """Number of the latest line of history, 0 if there is none."""
        query = select(schema.ledger.c.event_seq)
        return int(await self._database.read(lambda c: c.execute(query).scalar()) or 0)

    async def happened(self, after: int, kinds: Sequence[str], limit: int) -> tuple[list[Happened], int]:
        """Lines of these kinds above `after`, oldest first, and the number up to which all were seen."""

        def work(connection: Connection) -> tuple[list[Happened], int]:
            e, t = schema.event.c, schema.task.c
            last = int(connection.execute(select(schema.ledger.c.event_seq)).scalar() or 0)
            if last <= after or not kinds:
                return [], max(last, after)
            query = (
                select(schema.event, t.name, t.owner)
                .outerjoin(schema.task, t.id == e.task)
                .where(e.seq > after, e.seq <= last, e.kind.in_(kinds))
                .order_by(e.seq)
                .limit(limit)
            )
            found, seen = [], last
            for row in connection.execute(query):
                seq, record = rows.record_of(row[: len(schema.event.c)])
                found.append(Happened(record, row.name or "", row.owner or ""))
                if len(found) == limit:
                    seen = seq
            return found, seen

        return await self._database.read(work)

    async def waiting(self, before: float, now: float) -> tuple[Idle, ...]:
        """Tasks that could start and have waited for it since `before` or longer, the longest first."""
        t = schema.task.c
        query = (
            select(t.id, t.name, t.owner, t.queued_at)
            .where(t.status.in_(_WAITING), t.queued_at <= before, t.not_before <= now)
            .order_by(t.queued_at, t.id)
            .limit(_IDLE)
        )
        return await self._database.read(lambda c: tuple(Idle(*row) for row in c.execute(query)))

    async def silent(self, before: float) -> tuple[Idle, ...]:
        """Running tasks that reported no progress since `before`. Functions report none, and are left out."""
        t, m = schema.task.c, schema.metric.c
        latest = select(func.max(m.time)).where(m.task == t.id, m.attempt == t.attempt).scalar_subquery()
        query = (
            select(t.id, t.name, t.owner, t.started_at, latest.label("latest"))
            .where(
                t.status == TaskState.RUNNING.value,
                t.kind != TaskKind.FUNCTION.value,
                t.started_at <= before,
                or_(latest.is_(None), latest <= before),
            )
            .order_by(t.started_at, t.id)
            .limit(_IDLE)
        )

        def work(connection: Connection) -> tuple[Idle, ...]:
            found = connection.execute(query)
            return tuple(Idle(r.id, r.name, r.owner, max(r.started_at, r.latest or 0.0)) for r in found)

        return await self._database.read(work)

    async def late(self, since: float, now: float, more_than_s: float) -> tuple[Late, ...]:
        """Firings decided on since a time that began, or have not yet, so much after they were due."""
        f, t, r, w = schema.firing.c, schema.task.c, schema.time_trigger.c, schema.workflow_run.c
        began = func.coalesce(t.first_started_at, t.ended_at, w.begun_at, w.ended_at, now)
        late_s = began - f.due_ms / 1000.0
        query = (
            select(func.coalesce(r.name, f.trigger_id), f.due_ms / 1000.0, late_s)
            .outerjoin(schema.task, t.id == f.task)
            .outerjoin(schema.workflow_run, w.id == f.workflow_run)
            .outerjoin(schema.time_trigger, r.id == f.trigger_id)
            .where(or_(t.id.is_not(None), w.id.is_not(None)))
            .where(f.decided_at >= since, f.cause == "schedule", late_s > more_than_s)
            .order_by(late_s.desc(), f.trigger_id, f.due_ms)
            .limit(_IDLE)
        )
        return await self._database.read(
            lambda c: tuple(Late(name, float(due), float(late)) for name, due, late in c.execute(query))
        )

    # --- alarms --------------------------------------------------------------------------------------------

    async def memory(self) -> tuple[int | None, str, list[Alarm], list[Send]]:
        """What an earlier life left: the cursor (None at first), watches, open alarms, unsent messages."""

        def work(connection: Connection) -> tuple[int | None, str, list[Alarm], list[Send]]:
            s = schema.setting.c
            kept = {
                row.name: row.value
                for row in connection.execute(select(schema.setting).where(s.name.in_((CURSOR, WATCHES))))
            }
            a, m = schema.alarm.c, schema.alarm_send.c
            alarms = connection.execute(select(schema.alarm).where(a.resolved_at.is_(None)).order_by(a.id))
            pending = connection.execute(
                select(schema.alarm_send).where(m.status == SendState.PENDING.value).order_by(m.due_at, m.id)
            )
            cursor = int(kept[CURSOR]) if CURSOR in kept else None
            return cursor, kept.get(WATCHES, "[]"), [_alarm(r) for r in alarms], [_send(r) for r in pending]

        return await self._database.read(work)

    async def record(self, batch: AlarmBatch) -> None:
        """Store an evaluation: all of it, or nothing."""

        def work(connection: Connection) -> None:
            self._check(connection)
            settings = [
                {"name": CURSOR, "value": str(batch.cursor)},
                {"name": WATCHES, "value": batch.watches},
            ]
            _put(connection, schema.setting, "name", settings)
            _put(connection, schema.alarm, "id", [_alarm_row(alarm) for alarm in batch.alarms])
            _put(connection, schema.alarm_send, "id", [_send_row(send) for send in batch.sends])

        await self._database.write(work)

    async def put_send(self, send: Send) -> None:
        def work(connection: Connection) -> None:
            self._check(connection)
            _put(connection, schema.alarm_send, "id", [_send_row(send)])

        await self._database.write(work)

    def _check(self, connection: Connection) -> None:
        """Raise Deposed, unless the lease is still ours until this transaction ends."""
        if self._token is None:
            return
        query = select(schema.lease.c.token).where(schema.lease.c.name == ALARM).with_for_update()
        latest = connection.execute(query).scalar()
        if latest != self._token:
            raise Deposed("another process evaluates the rules now", token=self._token, latest=latest)

    async def acknowledged(self) -> frozenset[str]:
        """Ids of open alarms somebody takes care of."""
        a = schema.alarm.c
        query = select(a.id).where(a.resolved_at.is_(None), a.acknowledged_at.is_not(None))
        return await self._database.read(lambda c: frozenset(id_ for (id_,) in c.execute(query)))

    async def acknowledge(self, alarm: str, by: str, at: float) -> Alarm | None:
        """Whoever came first stays; None if there is no such alarm."""

        def work(connection: Connection) -> Alarm | None:
            a = schema.alarm.c
            connection.execute(
                schema.alarm.update()
                .where(a.id == rows.plain(alarm), a.acknowledged_at.is_(None), a.resolved_at.is_(None))
                .values(acknowledged_at=at, acknowledged_by=rows.plain(by)[: schema.KEY])
            )
            return _one(connection, alarm)

        return await self._database.write(work)

    async def alarm(self, alarm: str) -> Alarm | None:
        return await self._database.read(lambda c: _one(c, alarm))

    async def alarms(
        self, unresolved: bool, limit: int, before: tuple[float, str] | None = None
    ) -> list[Alarm]:
        """The latest opened first; `before`: the (opened_at, id) of the last one of the page before."""
        a = schema.alarm.c
        query = select(schema.alarm).order_by(a.opened_at.desc(), a.id.desc()).limit(limit)
        if unresolved:
            query = query.where(a.resolved_at.is_(None))
        if before is not None:
            at, id_ = before
            query = query.where(or_(a.opened_at < at, and_(a.opened_at == at, a.id < rows.plain(id_))))
        return await self._database.read(lambda c: [_alarm(row) for row in c.execute(query)])

    async def sends(self, channel: str | None, limit: int) -> list[Send]:
        """The latest first."""
        m = schema.alarm_send.c
        query = select(schema.alarm_send).order_by(m.created_at.desc(), m.id.desc()).limit(limit)
        if channel is not None:
            query = query.where(m.channel == channel)
        return await self._database.read(lambda c: [_send(row) for row in c.execute(query)])

    async def expire(self, before: float, limit: int) -> int:
        """Delete at most `limit` each of alarms resolved and messages finished before a time."""

        def work(connection: Connection) -> int:
            a, m = schema.alarm.c, schema.alarm_send.c
            old = select(a.id).where(a.resolved_at < before).limit(limit)
            done = select(m.id).where(m.status != SendState.PENDING.value, m.created_at < before)
            gone = 0
            for table, query in ((schema.alarm, old), (schema.alarm_send, done.limit(limit))):
                ids = [id_ for (id_,) in connection.execute(query)]
                for part in _parts(ids):
                    connection.execute(table.delete().where(table.c.id.in_(part)))
                gone += len(ids)
            return gone

        return await self._database.write(work)


def _put(connection: Connection, table: Table, key: str, values: list[dict[str, Any]]) -> None:
    """Insert, or change the columns named where the key exists: others keep what they have."""
    column = table.c[key]
    known: set[str] = set()
    for part in _parts([row[key] for row in values]):
        known |= {found for (found,) in connection.execute(select(column).where(column.in_(part)))}
    new = {row[key]: row for row in values if row[key] not in known}
    if new:
        connection.execute(table.insert(), list(new.values()))
    changed = {row[key]: row for row in values if row[key] in known}
    if changed:
        names = [name for name in next(iter(changed.values())) if name != key]
        statement = (
            table.update().where(column == bindparam("k_")).values({n: bindparam(f"v_{n}") for n in names})
        )
        connection.execute(
            statement, [{"k_": row[key]} | {f"v_{n}": row[n] for n in names} for row in changed.values()]
        )


def _drop(connection: Connection, table: Table, name: str) -> bool:
    return connection.execute(table.delete().where(table.c.name == rows.plain(name))).rowcount > 0


def _one(connection: Connection, alarm: str) -> Alarm | None:
    row = connection.execute(select(schema.alarm).where(schema.alarm.c.id == rows.plain(alarm))).one_or_none()
    return None if row is None else _alarm(row)


def _alarm(row: Any) -> Alarm:
    return Alarm(
        row.id, row.rule, row.grouped, Severity(row.severity), row.content, row.opened_at, row.last_at,
        row.occurrences, row.told, row.resolved_at, row.acknowledged_at, row.acknowledged_by,
    )  # fmt: skip


def _alarm_row(alarm: Alarm) -> dict[str, Any]:
    """Without who takes care of it, which others write."""
    return {
        "id": alarm.id,
        "rule": alarm.rule,
        "grouped": rows.plain(alarm.group)[: schema.KEY],
        "severity": alarm.severity.value,
        "content": rows.plain(alarm.text),
        "opened_at": alarm.opened_at,
        "last_at": alarm.last_at,
        "occurrences": alarm.count,
        "told": alarm.told,
        "resolved_at": alarm.resolved_at,
    }


def _send(row: Any) -> Send:
    return Send(
        row.id, row.channel, row.created_at, row.due_at,
        tuple(Notice.from_dict(notice) for notice in json.loads(row.notices)), row.more,
        SendState(row.status), row.attempts, row.sent_at, row.code, row.error,
    )  # fmt: skip


def _send_row(send: Send) -> dict[str, Any]:
    return {
        "id": send.id,
        "channel": send.channel,
        "created_at": send.created_at,
        "due_at": send.due_at,
        "notices": json.dumps([notice.to_dict() for notice in send.notices]),
        "more": send.more,
        "status": send.state.value,
        "attempts": send.attempts,
        "sent_at": send.sent_at,
        "code": send.code[: schema.NAME],
        "error": rows.plain(send.error),
    }


def _parts(ids: list[Any]) -> Iterable[list[Any]]:
    for begin in range(0, len(ids), _SHARE):
        yield ids[begin : begin + _SHARE]
