"""Standing for a lease, and keeping it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from trainmaster.domain.errors import StoreFull, StoreUnavailable
from trainmaster.store.leases import SqlLeases

log = structlog.get_logger(__name__)

TTL_S = 3.0  # a leader that is gone is followed after this
RENEW_S = 0.75
STAND_S = 0.2  # between looks whether the lease is free

Term = Callable[[int], Awaitable[None]]


async def stand(leases: SqlLeases, name: str, holder: str, term: Term) -> None:
    """For ever: take the lease `name` when it is free, run `term(token)` until it ends or the lease is lost,
    and stand again. Cancelled, it lets go of the lease once the term has ended."""
    while True:
        try:
            token = await leases.take(name, holder, TTL_S)
        except (StoreUnavailable, StoreFull):
            token = None
        if token is None:
            await asyncio.sleep(STAND_S)
            continue
        log.info("leads", lease=name, token=token)
        running = asyncio.ensure_future(term(token))
        keeping = asyncio.create_task(_keep(leases, name, holder, token))
        try:
            await asyncio.wait({running, keeping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for job in (running, keeping):
                job.cancel()
            (ended, _) = await asyncio.gather(running, keeping, return_exceptions=True)
            if isinstance(ended, Exception):
                log.warning("a term ended", lease=name, token=token, error=str(ended), exc_info=ended)
            try:
                await leases.release(name, holder, token)
            except (StoreUnavailable, StoreFull):
                pass  # it runs out
        await asyncio.sleep(RENEW_S)  # whatever ended it, others may try before us


async def _keep(leases: SqlLeases, name: str, holder: str, token: int) -> None:
    """Renew until somebody else has it. With the database away nobody can take it, so we may go on: what we
    decide is recorded only under a lease that is still ours."""
    while True:
        await asyncio.sleep(RENEW_S)
        try:
            if not await leases.renew(name, holder, token, TTL_S):
                log.warning("deposed", lease=name, token=token)
                return
        except (StoreUnavailable, StoreFull):
            continue
