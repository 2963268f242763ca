"""Opens the letters that were left while nobody led: each becomes a task, once, or is refused."""

from __future__ import annotations

import asyncio

import structlog

from trainmaster.domain.errors import StoreFull, StoreUnavailable, TrainmasterError
from trainmaster.domain.events import TaskSubmitted
from trainmaster.domain.replica import Letter
from trainmaster.service.follower import Letters
from trainmaster.service.service import Service

log = structlog.get_logger(__name__)

LOOK_S = 0.25
_AT_ONCE = 500


class Postman:
    """`run` until cancelled, in the leader."""

    def __init__(self, service: Service, letters: Letters) -> None:
        self._service = service
        self._letters = letters

    async def open_all(self) -> None:
        """Everything there is now. Raises StoreUnavailable, StoreFull."""
        while found := await self._letters.letters(_AT_ONCE):
            await asyncio.gather(*(self._open(letter) for letter in found))

    async def run(self) -> None:
        while True:
            try:
                await self.open_all()
            except (StoreUnavailable, StoreFull) as error:
                log.warning("letters wait", error=error.message)
            await asyncio.sleep(LOOK_S)

    async def _open(self, letter: Letter) -> None:
        """A task of this id, or of this key, is there already if an earlier leader died over the letter."""
        service = self._service
        if await self._known(letter):
            await self._letters.opened(letter.task, None)
            return
        await service.know(letter.spec.after)
        key = (letter.key, letter.digest, letter.task) if letter.key else None
        (refusal,) = await service.loop.request([TaskSubmitted(letter.task, letter.spec)], key)
        await self._letters.opened(letter.task, None if refusal is None else _told(refusal))

    async def _known(self, letter: Letter) -> bool:
        store = self._service.store
        if letter.key and await store.idempotent(letter.key) is not None:
            return True
        return letter.task in self._service.state.tasks or await store.task(letter.task) is not None


def _told(refusal: TrainmasterError) -> dict[str, object]:
    return {
        "code": refusal.code, "status": refusal.status, "message": refusal.message, "remedy": refusal.remedy
    }  # fmt: skip
