"""What the process and the function runner of a node share: fork-servers and the hints."""

from __future__ import annotations

import os

from trainmaster.runners.forkclient import ForkServer
from trainmaster.runners.hints import Hints
from trainmaster.runners.interpreters import Interpreters


class Warm:
    """`data` is the data folder, with one fork-server for all nodes; `folder` is this node's."""

    def __init__(self, data: str, folder: str) -> None:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.server = ForkServer(data)
        self.interpreters = Interpreters(data)
        self.hints = Hints(folder)

    async def open(self) -> None:
        """Listen, then connect: no hint may come while nobody hears it. Raises ForkServerFailed."""
        self.hints.open()
        await self.server.connect()

    async def close(self, leave_running: bool) -> None:
        await self.interpreters.close(quit_when_idle=not leave_running)
        await self.server.close(quit_when_idle=not leave_running)
        self.hints.close()
