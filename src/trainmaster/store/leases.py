"""Leases: who leads. Over a connection of its own, so that no long transaction keeps a leader from renewing.

Time is the database's, so that the clocks of machines need not agree. Whoever takes the lease of the
scheduler also writes its token into the ledger, whose row every commit locks: a commit of the leader before
either ends first, or finds a token that is not its own and fails (see `Writer`).
"""

from __future__ import annotations

from sqlalchemy import Connection, select

from trainmaster.domain.replica import Lease
from trainmaster.store import schema
from trainmaster.store.engine import connect

SCHEDULER, ALARM = "scheduler", "alarm"
_L = schema.lease.c

_CLOCKS = {
    "postgresql": "SELECT CAST(extract(epoch FROM clock_timestamp()) AS double precision)",
    "mysql": "SELECT UNIX_TIMESTAMP() + MICROSECOND(NOW(6)) / 1e6",
    "mariadb": "SELECT UNIX_TIMESTAMP() + MICROSECOND(NOW(6)) / 1e6",
    "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0",
}


def clock(connection: Connection) -> float:
    """Seconds since the epoch, as the database sees it."""
    return float(connection.exec_driver_sql(_CLOCKS[connection.dialect.name]).scalar_one())


class SqlLeases:
    """Every method may raise StoreUnavailable."""

    def __init__(self, url: str, *, timeout_s: float = 5.0) -> None:
        self._database = connect(url, timeout_s=timeout_s)

    async def open(self) -> None:
        """The tables must be there."""
        await self._database.open()

    async def close(self) -> None:
        await self._database.close()

    async def take(self, name: str, holder: str, ttl_s: float) -> int | None:
        """The token, if the lease is free or has run out; else None. Waits for commits under way."""

        def free(connection: Connection) -> bool:
            row = connection.execute(select(_L.until_at).where(_L.name == name)).one_or_none()
            return row is None or row.until_at <= clock(connection)

        if not await self._database.read(free):
            return None
        return await self._database.write(lambda c: _take(c, name, holder, ttl_s))

    async def renew(self, name: str, holder: str, token: int, ttl_s: float) -> bool:
        """True if it is still ours, even where it had run out and nobody took it meanwhile."""

        def work(connection: Connection) -> bool:
            mine = (_L.name == name) & (_L.holder == holder) & (_L.token == token)
            row = connection.execute(select(_L.token).where(mine).with_for_update()).one_or_none()
            if row is None:
                return False
            connection.execute(schema.lease.update().where(mine).values(until_at=clock(connection) + ttl_s))
            return True

        return await self._database.write(work)

    async def release(self, name: str, holder: str, token: int) -> None:
        """Let the next one take it at once."""
        mine = (_L.name == name) & (_L.holder == holder) & (_L.token == token)
        await self._database.write(
            lambda c: c.execute(schema.lease.update().where(mine).values(until_at=0.0))
        )

    async def all(self) -> tuple[list[Lease], float]:
        """By name, and what time it is there."""

        def work(connection: Connection) -> tuple[list[Lease], float]:
            found = connection.execute(select(schema.lease).order_by(_L.name))
            return [Lease(r.name, r.holder, r.token, r.until_at) for r in found], clock(connection)

        return await self._database.read(work)


def _take(connection: Connection, name: str, holder: str, ttl_s: float) -> int | None:
    # The ledger first, as in every commit: two that wait for each other's row would be a deadlock.
    connection.execute(select(schema.ledger.c.id).with_for_update())
    row = connection.execute(select(schema.lease).where(_L.name == name).with_for_update()).one_or_none()
    now = clock(connection)
    if row is not None and row.until_at > now:
        return None
    token = 1 if row is None else row.token + 1
    values = {"holder": holder, "token": token, "until_at": now + ttl_s}
    if row is None:
        connection.execute(schema.lease.insert().values(name=name, **values))
    else:
        connection.execute(schema.lease.update().where(_L.name == name).values(**values))
    if name == SCHEDULER:
        connection.execute(schema.ledger.update().values(fence=token))
    return token
