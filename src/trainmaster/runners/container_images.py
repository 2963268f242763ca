"""The images of an engine: pulled once when absent, and what folders they hold."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any

from trainmaster.domain.run import Fault, RunSpec
from trainmaster.runners.container_engine import ContainerEngine
from trainmaster.runners.container_spec import Refused, Volume, directory_on_host


class Images:
    """`silence_s`: a pull during which nothing moves for so many seconds has failed."""

    def __init__(self, engine: ContainerEngine, owner: str, silence_s: float) -> None:
        self._engine = engine
        self._owner = owner
        self._silence_s = silence_s
        self._pulls: dict[str, asyncio.Lock] = {}
        self._directories: dict[tuple[str, str], bool] = {}

    async def ensure(self, name: str) -> Mapping[str, Any]:
        """The local image of that name; several runs that lack it pull it once. Raises Refused."""
        async with self._pulls.setdefault(name, asyncio.Lock()):
            found = await self._engine.image(name)
            if found is None:
                await self._engine.pull(name, self._silence_s)
                found = await self._engine.image(name)
        if found is None:
            raise Refused(Fault.IMAGE_NOT_FOUND, f"image {name!r} was pulled and is not there")
        return found

    async def check_directory(
        self, run: RunSpec, image: Mapping[str, Any], volumes: Sequence[Volume]
    ) -> None:
        """Raises Refused unless the run's working directory exists, in a volume or in the image.

        Docker itself would make a missing one without a word, even in somebody's volume.
        """
        if not run.directory:
            return
        if not os.path.isabs(run.directory):
            raise _missing(run, "a container's directory must be absolute")
        outside = directory_on_host(run.directory, volumes)
        if outside is not None:
            if self._engine.local and not os.path.isdir(outside):
                raise _missing(run, f"{outside} on the node does not exist")
        elif run.directory not in ("/", (image.get("Config") or {}).get("WorkingDir")):
            key = (image["Id"], run.directory)
            if key not in self._directories:
                self._directories[key] = await self._engine.has_directory(*key, self._owner)
            if not self._directories[key]:
                raise _missing(run, f"image {run.image} has no such directory")


def _missing(run: RunSpec, why: str) -> Refused:
    return Refused(Fault.DIRECTORY_MISSING, f"cannot enter {run.directory}: {why}", 126)
