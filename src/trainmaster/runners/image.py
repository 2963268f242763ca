"""An image without a registry: almost empty, to be filled with this machine's programs by read-only mounts.

A container of it sees the host's system folders and Python interpreter, and nothing else of the host. It
starts as fast as any and needs no build and no disk space, but only works where the service and the engine
share a machine. `docs/how-to/container-images.md` says how to build images that travel.
"""

from __future__ import annotations

import io
import os
import sys
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass

import trainmaster
from trainmaster.runners.container_engine import ContainerEngine

NAME = "trainmaster-host:2"
# Not /sbin: the engine puts its init process there, and a mount may come to lie over it.
_SYSTEM = ("/usr", "/bin", "/lib", "/lib64")
_FILES = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": b"root:x:0:\nnogroup:x:65534:\n",
}


@dataclass(frozen=True, slots=True)
class HostImage:
    """What a task needs to run this interpreter in a container: fields of a `TaskSpec`.

    `roots` are the folders the runner must allow volumes to come from.
    """

    name: str
    volumes: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    roots: tuple[str, ...]


def host_image() -> HostImage:
    """The mounts that make this process's interpreter and `trainmaster` itself run in the image."""
    source = os.path.dirname(os.path.dirname(os.path.realpath(trainmaster.__file__)))
    interpreters = {sys.prefix, sys.base_prefix}
    wanted = [path for path in _SYSTEM if os.path.isdir(path)]
    for path in sorted({*interpreters, source}):
        if not any(_within(path, known) for known in wanted):
            wanted.append(path)
    return HostImage(
        NAME,
        tuple(f"{path}:{path}:ro" for path in wanted),
        # Named always: the package may be installed by a link that leads out of the interpreter's folder.
        (("PYTHONPATH", source), ("PYTHONDONTWRITEBYTECODE", "1"), ("HOME", "/tmp")),
        tuple(wanted),
    )


async def ensure_host_image(url: str = "") -> HostImage:
    """Import the image unless the engine has it. Raises EngineGone."""
    engine = ContainerEngine(url)
    try:
        if await engine.image(NAME) is None:
            await engine.load(NAME, _tar())
    finally:
        await engine.close()
    return host_image()


def _within(path: str, root: str) -> bool:
    return path == root or path.startswith(root + "/")


def _tar(folders: Iterable[str] = ("tmp", "root", "etc", "run", "sbin")) -> bytes:
    """Two small files and the folders programs expect."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name in folders:
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(folder)
        for name, text in _FILES.items():
            file = tarfile.TarInfo(name)
            file.size, file.mode = len(text), 0o644
            tar.addfile(file, io.BytesIO(text))
    return content.getvalue()
