"""The registry of replicas, and the letters they leave for the next leader."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, select

from trainmaster.domain.ids import TaskId
from trainmaster.domain.replica import Letter, Replica, Role
from trainmaster.domain.task import TaskSpec
from trainmaster.store import reader, rows, schema
from trainmaster.store.database import Database
from trainmaster.store.leases import clock
from trainmaster.store.writer import short

_R, _L = schema.replica.c, schema.letter.c


class SqlReplicas:
    """Every method may raise StoreUnavailable or StoreFull."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def beat(self, replica: Replica, forget_s: float) -> None:
        """Tell that it lives, and forget who has not for `forget_s`."""

        def work(connection: Connection) -> None:
            now = clock(connection)
            values = {
                "host": replica.host[: schema.KEY],
                "pid": replica.pid,
                "roles": json.dumps([str(role) for role in replica.roles]),
                "url": replica.url,
                "started_at": replica.started_at,
                "beat_at": now,
                "detail": json.dumps(replica.detail),
            }
            known = connection.execute(select(_R.id).where(_R.id == replica.id)).one_or_none()
            if known is None:
                connection.execute(schema.replica.insert().values(id=replica.id, **values))
                silent = (_R.beat_at < now - forget_s) & (_R.id != replica.id)
                connection.execute(schema.replica.delete().where(silent))
            else:
                connection.execute(schema.replica.update().where(_R.id == replica.id).values(**values))

        await self._database.write(work)

    async def leave(self, replica: str) -> None:
        await self._database.write(lambda c: c.execute(schema.replica.delete().where(_R.id == replica)))

    async def all(self) -> list[Replica]:
        """In the order in which they came."""

        def work(connection: Connection) -> list[Replica]:
            found = connection.execute(select(schema.replica).order_by(_R.started_at, _R.id))
            return [
                Replica(
                    r.id, r.host, r.pid, tuple(Role(role) for role in json.loads(r.roles)), r.url,
                    r.started_at, r.beat_at, json.loads(r.detail),
                )
                for r in found
            ]  # fmt: skip

        return await self._database.read(work)

    async def put_letter(self, letter: Letter) -> Letter:
        """Leave it, durably. If a letter or a task has its key already, that one comes back.

        Waits for commits under way: one of them may be the last of a leader that had this request.
        """

        def work(connection: Connection) -> Letter:
            connection.execute(select(schema.ledger.c.id).with_for_update())
            if letter.key:
                known = reader.idempotent(connection, letter.key)
                if known is not None:
                    return replace(letter, task=known[1], digest=known[0])
                row = connection.execute(select(schema.letter).where(_L.name == short(letter.key))).first()
                if row is not None:
                    return _letter(row)
            connection.execute(
                schema.letter.insert().values(
                    task=letter.task,
                    name=short(letter.key) if letter.key else None,
                    digest=letter.digest,
                    made_at=letter.made_at,
                    spec=json.dumps(letter.spec.to_dict()),
                )
            )
            return letter

        return await self._database.write(work)

    async def letter(self, task: TaskId) -> Letter | None:
        query = select(schema.letter).where(_L.task == rows.plain(task))

        def work(connection: Connection) -> Letter | None:
            row = connection.execute(query).one_or_none()
            return None if row is None else _letter(row)

        return await self._database.read(work)

    async def letters(self, limit: int) -> list[Letter]:
        """Those nobody has opened, the oldest first."""
        query = select(schema.letter).where(_L.refusal.is_(None)).order_by(_L.made_at, _L.task).limit(limit)
        return await self._database.read(lambda c: [_letter(row) for row in c.execute(query)])

    async def opened(self, task: TaskId, refusal: dict[str, Any] | None) -> None:
        """Its task is recorded, or refused: then the reason stays for whoever asks, for a day."""

        def work(connection: Connection) -> None:
            if refusal is None:
                connection.execute(schema.letter.delete().where(_L.task == task))
            else:
                values = {"refusal": json.dumps(refusal)}
                connection.execute(schema.letter.update().where(_L.task == task).values(**values))
                old = clock(connection) - 86400.0
                connection.execute(schema.letter.delete().where(_L.refusal.is_not(None), _L.made_at < old))

        await self._database.write(work)


def _letter(row: Any) -> Letter:
    spec = TaskSpec.from_dict(json.loads(row.spec))
    refusal = None if row.refusal is None else json.loads(row.refusal)
    return Letter(TaskId(row.task), spec, row.made_at, row.name or "", row.digest, refusal)
