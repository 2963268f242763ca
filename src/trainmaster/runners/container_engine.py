"""The few calls of a Docker engine that running a task needs, through aiodocker, with errors to act on."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiodocker
import aiohttp
from aiodocker.exceptions import DockerError

from trainmaster.domain.run import Fault
from trainmaster.runners.container_spec import LABEL_OWNER, Refused, start_refused

DEFAULT_URL = "unix:///var/run/docker.sock"
_ANSWER_S = 60.0  # the longest an engine under load may take for one short call
_NO_CONNECTION = 900  # aiodocker's status for it
_GO_DIRECTORY, _GO_LINK = 1 << 31, 1 << 27  # of Go's file modes
_HEADER = 8  # of a frame in a log: the stream, three zeros, the length


class EngineGone(Exception):
    """No engine answers. The message names the remedy."""


class NameTaken(Exception):
    """A container of that name is there already."""


class ContainerEngine:
    """One Docker engine. `url` is unix://, tcp:// or ssh://; empty for DOCKER_HOST or the usual socket."""

    def __init__(self, url: str = "") -> None:
        self.url = url or os.environ.get("DOCKER_HOST", "") or DEFAULT_URL
        # Only a local engine shares our process ids.
        self.local = self.url.startswith("unix://")
        self.answered = False  # ever
        self._client: aiodocker.Docker | None = None

    def _docker(self) -> aiodocker.Docker:
        """The client, made at first use: it needs a running event loop."""
        if self._client is None:
            limit = aiohttp.ClientTimeout(total=_ANSWER_S, sock_connect=5)
            if self.local:
                # Every container is followed over a connection of its own: no bound on their number.
                path = self.url.removeprefix("unix://")
                connector = aiohttp.UnixConnector(path, limit=0)
                self._client = aiodocker.Docker("unix://localhost", connector=connector, timeout=limit)
            else:
                self._client = aiodocker.Docker(self.url, timeout=limit)
        return self._client

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            connector = client.connector
            await client.close()
            await connector.close()

    def _error(self, error: Exception) -> Exception:
        """EngineGone if the engine did not answer; anything else as it is."""
        lost = isinstance(error, aiohttp.ClientError | TimeoutError | OSError | ValueError)
        if lost or (isinstance(error, DockerError) and error.status == _NO_CONNECTION):
            said = getattr(error, "message", "") or str(error) or type(error).__name__
            return EngineGone(
                f"no container engine answers at {self.url} ({said}); start it (`systemctl start docker`), "
                "or name another with DOCKER_HOST"
            )
        return error

    async def answers(self, within_s: float = 3.0) -> bool:
        """Is there an engine at all?"""
        if self.local and not os.path.exists(self.url.removeprefix("unix://")):
            return False
        try:
            await asyncio.wait_for(self._docker().version(), within_s)
        except (aiohttp.ClientError, DockerError, OSError, TimeoutError, ValueError):
            return False
        self.answered = True
        return True

    # --- images --------------------------------------------------------------------------------------------

    async def image(self, name: str) -> Mapping[str, Any] | None:
        """What the engine knows of a local image, None if there is none. Raises Refused for a bad name."""
        try:
            return await self._docker().images.inspect(name)
        except Exception as error:
            if isinstance(error, DockerError) and error.status == 404:
                return None
            if isinstance(error, DockerError) and error.status == 400:
                raise Refused(Fault.IMAGE_NOT_FOUND, f"image {name!r}: {error.message}") from None
            raise self._error(error) from error

    async def pull(self, name: str, silence_s: float) -> None:
        """Pull an image. Raises Refused if it cannot be had, or nothing moves for `silence_s` seconds."""
        try:
            progress = self._docker().images.pull(name, stream=True, timeout=None)
            while True:
                try:
                    async with asyncio.timeout(silence_s):
                        await anext(progress)
                except StopAsyncIteration:
                    return
        except Exception as error:
            if isinstance(error, TimeoutError):
                why = f"the registry sent nothing for {silence_s:g} s"
            elif isinstance(error, DockerError) and error.status != _NO_CONNECTION:
                why = " ".join(error.message.split())
            else:
                raise self._error(error) from error
            raise Refused(
                Fault.IMAGE_NOT_FOUND,
                f"image {name!r} is not on this node and cannot be pulled: {why}; "
                "check the name, or load it with `docker load` or `docker import`",
            ) from None

    async def load(self, name: str, tar: bytes) -> None:
        """Make an image of one layer from a tar file of its file system."""
        repository, _, tag = name.rpartition(":")
        params = {"fromSrc": "-", "repo": repository, "tag": tag}
        headers = {"Content-Type": "application/x-tar"}
        try:
            async with self._docker()._query(
                "images/create", "POST", params=params, data=tar, headers=headers
            ) as answer:
                async for line in answer.content:
                    if problem := json.loads(line).get("error"):
                        raise DockerError(500, problem)
        except Exception as error:
            raise self._error(error) from error

    async def has_directory(self, image: str, directory: str, owner: str) -> bool:
        """True if the image holds that directory. Docker itself would make a missing one without a word."""
        body = {"Image": image, "Cmd": ["-"], "Labels": {LABEL_OWNER: f"{owner}.look"}}
        container = await self.create("", body)
        try:
            # Not through aiodocker, which cannot read the answer without a body that HEAD has in case of 404.
            url = self._docker()._canonicalize_url(f"containers/{container}/archive")
            async with self._docker().session.head(url, params={"path": directory}) as answer:
                stat = answer.headers.get("X-Docker-Container-Path-Stat", "")
                if answer.status == 404:
                    return False
                if answer.status != 200 or not stat:
                    return True  # an engine that does not answer this: the start will tell
                mode = json.loads(base64.b64decode(stat))["mode"]
                return bool(mode & (_GO_DIRECTORY | _GO_LINK))  # where a link leads, the start will tell
        except Exception as error:
            raise self._error(error) from error
        finally:
            await self.remove(container)

    # --- containers ----------------------------------------------------------------------------------------

    async def create(self, name: str, body: Mapping[str, Any]) -> str:
        """Create a container and return its id. Raises NameTaken or Refused."""
        try:
            made = await self._docker().containers.create(dict(body), name=name or None)
        except Exception as error:
            if isinstance(error, DockerError) and error.status == 409:
                raise NameTaken(error.message) from None
            if isinstance(error, DockerError) and error.status != _NO_CONNECTION:
                raise start_refused(error.message) from None
            raise self._error(error) from error
        return made.id

    async def start(self, name: str) -> None:
        """Start it; one that runs or has ended does not matter. Raises Refused."""
        try:
            await self._docker().containers.container(name).start()
        except Exception as error:
            if isinstance(error, DockerError) and error.status != _NO_CONNECTION:
                raise start_refused(error.message) from None
            raise self._error(error) from error

    async def inspect(self, name: str) -> Mapping[str, Any] | None:
        """All about a container, None if there is none of that name."""
        try:
            found = await self._docker().containers.container(name).show()
        except Exception as error:
            if not (isinstance(error, DockerError) and error.status == 404):
                raise self._error(error) from error
            found = None
        self.answered = True
        return found

    async def kill(self, name: str, signal: str) -> None:
        """Signal its first process; one that is gone does not matter."""
        try:
            await self._docker().containers.container(name).kill(signal=signal)
        except Exception as error:
            if isinstance(error, DockerError) and error.status in (404, 409):
                return
            raise self._error(error) from error

    async def wait(self, name: str) -> None:
        """Until it does not run. Gone counts as such."""
        try:
            await self._docker().containers.container(name).wait(timeout=None)
        except Exception as error:
            if isinstance(error, DockerError) and error.status == 404:
                return
            raise self._error(error) from error

    async def remove(self, name: str) -> None:
        """Delete a container whatever it does, with its anonymous volumes; gone already does not matter."""
        try:
            await self._docker().containers.container(name).delete(force=True, v=True)
        except Exception as error:
            # 409: somebody else's removal is under way.
            if isinstance(error, DockerError) and error.status in (404, 409):
                return
            raise self._error(error) from error

    async def owned(self, owner: str) -> list[Mapping[str, Any]]:
        """All containers that carry this owner label, whatever their state."""
        try:
            filters = json.dumps({"label": [f"{LABEL_OWNER}={owner}"]})
            found: list[Mapping[str, Any]] = await self._docker()._query_json(
                "containers/json", params={"all": "1", "filters": filters}
            )
        except Exception as error:
            raise self._error(error) from error
        return found

    async def log(self, name: str, follow: bool) -> AsyncIterator[list[tuple[int, bytes]]]:
        """The log from its beginning: (1 stdout or 2 stderr, bytes) as they come, in batches.

        aiodocker's own reader yields text of both streams mixed; we need the bytes and whose they are.
        """
        params = {"stdout": "1", "stderr": "1", "follow": "1" if follow else "0"}
        try:
            async with self._docker()._query(
                f"containers/{name}/logs", params=params, timeout=None
            ) as answer:
                rest = b""
                try:
                    async for data in answer.content.iter_any():
                        frames, rest = split_frames(rest + data)
                        if frames:
                            yield frames
                finally:
                    answer.close()
        except DockerError as error:
            if error.status == 404:
                return
            raise self._error(error) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._error(error) from error


def split_frames(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Whole frames of a log, neighbours of one stream joined, and the rest to put before what follows."""
    frames: list[tuple[int, list[bytes]]] = []
    at = 0
    while len(data) - at >= _HEADER:
        end = at + _HEADER + int.from_bytes(data[at + 4 : at + _HEADER], "big")
        if end > len(data):
            break
        stream, content = data[at], data[at + _HEADER : end]
        if frames and frames[-1][0] == stream:
            frames[-1][1].append(content)
        else:
            frames.append((stream, [content]))
        at = end
    return [(stream, b"".join(parts)) for stream, parts in frames], data[at:]
