"""Carries messages: each channel by itself, the oldest first, again and again with growing pauses.

A channel that hangs or refuses delays only its own messages. What gathers meanwhile waits in one message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

import structlog

from trainmaster.alarms.book import Book
from trainmaster.alarms.channels.carrier import Carrier
from trainmaster.alarms.rules.gather import Outbox
from trainmaster.domain.alarm import Channel, Send, SendState
from trainmaster.domain.chance import uniform
from trainmaster.domain.errors import StoreFull, StoreUnavailable, TrainmasterError
from trainmaster.ports import Clock

log = structlog.get_logger(__name__)

FIRST_S, MOST_S = 5.0, 600.0  # pauses after failures
MOST_ATTEMPTS = 12  # within about an hour
_STORE_S = 1.0
_REMEMBERED = 10_000


def pause_s(send: Send) -> float:
    """After the attempts so far: doubling from FIRST_S to MOST_S, less up to a fifth by the message's id."""
    whole = min(FIRST_S * 2.0 ** (send.attempts - 1), MOST_S)
    return whole * (1.0 - 0.2 * uniform(int(send.id[2:], 16), send.attempts))


class Courier:
    """`channels` are kept up to date by whoever reads them. `tried`: messages of this life, by id.

    `taking`: held while messages gather until they are stored, so that none is taken meanwhile.
    """

    def __init__(self, book: Book, carrier: Carrier, clock: Clock, outbox: Outbox) -> None:
        self.channels: dict[str, Channel] = {}
        self.tried: dict[str, None] = {}
        self.taking = asyncio.Lock()
        self._book = book
        self._carrier = carrier
        self._clock = clock
        self._outbox = outbox
        self._pending: dict[str, dict[str, Send]] = {}
        self._workers: dict[str, asyncio.Task[None]] = {}

    def put(self, sends: Iterable[Send]) -> None:
        """Messages that are stored as pending; one nobody tried yet is replaced by what it gathered."""
        for send in sends:
            if send.id in self.tried:
                continue
            self._pending.setdefault(send.channel, {})[send.id] = send
            worker = self._workers.get(send.channel)
            if worker is None or worker.done():
                name = f"alarm channel {send.channel}"
                self._workers[send.channel] = asyncio.create_task(self._serve(send.channel), name=name)

    async def idle(self) -> None:
        """Until nothing is pending."""
        while alive := [worker for worker in self._workers.values() if not worker.done()]:
            await asyncio.wait(alive)

    async def close(self) -> None:
        for worker in self._workers.values():
            worker.cancel()
        await asyncio.gather(*self._workers.values(), return_exceptions=True)

    async def _serve(self, name: str) -> None:
        pending = self._pending[name]
        while pending:
            oldest = min(pending.values(), key=lambda send: (send.created_at, send.id))
            await asyncio.sleep(max(oldest.due_at - self._clock.now(), 0.0))
            async with self.taking:
                send = pending[oldest.id]  # it may have gathered more meanwhile
                self._outbox.taken(send)
                self._note(send)
            send = await self._try(send)
            await self._store(send)
            if send.state is SendState.PENDING:
                pending[send.id] = send
            else:
                del pending[send.id]

    def _note(self, send: Send) -> None:
        self.tried[send.id] = None
        if len(self.tried) > _REMEMBERED:
            del self.tried[next(iter(self.tried))]

    async def _try(self, send: Send) -> Send:
        channel = self.channels.get(send.channel)
        if channel is None or not channel.enabled:
            gone = "there is no such channel any more" if channel is None else "the channel is switched off"
            return replace(send, state=SendState.FAILED, code="channel-gone", error=gone)
        attempts = send.attempts + 1
        try:
            await self._carrier.send(channel, send, self._clock.now())
        except TrainmasterError as error:
            code, said = error.code, error.message
        except Exception as error:
            # A library's surprise: this message has failed, the others have not.
            log.exception("alarm not sent", channel=send.channel)
            code, said = "internal", f"{type(error).__name__}"
        else:
            return replace(
                send, state=SendState.SENT, attempts=attempts, sent_at=self._clock.now(), code="", error=""
            )
        log.warning("alarm not sent", channel=send.channel, attempts=attempts, code=code, error=said)
        failed = replace(send, attempts=attempts, code=code, error=said)
        if attempts >= MOST_ATTEMPTS:
            return replace(failed, state=SendState.FAILED)
        return replace(failed, due_at=self._clock.now() + pause_s(failed))

    async def _store(self, send: Send) -> None:
        """What became of it, however long that takes: else it would be sent twice."""
        while True:
            try:
                await self._book.put_send(send)
                return
            except (StoreUnavailable, StoreFull):
                await asyncio.sleep(_STORE_S)
