"""A Docker engine of our own for tests: a socket in a temporary folder, one tiny image, no network."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Server, find_binary

IMAGE = "trainmaster-test:1"
_TOOLS = ("sh", "cat", "chmod", "dd", "echo", "env", "head", "id", "kill", "ln", "ls", "mkdir", "printf",
          "pwd", "rm", "sleep", "stat", "touch", "yes")  # fmt: skip


class DockerEngine(Server):
    """dockerd with its own data, bound to nothing but a socket. Needs root."""

    @staticmethod
    def missing() -> bool:
        return os.geteuid() != 0 or None in (find_binary("dockerd"), find_binary("docker"), _busybox())

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/s"

    def command(self) -> list[str]:
        return [
            str(find_binary("dockerd")),
            f"--data-root={self.data}",
            f"--exec-root={self.folder}/exec",
            f"--pidfile={self.folder}/pid",
            f"--host={self.url}",
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
            "--userland-proxy=false",
            "--shutdown-timeout=5",
            "--log-level=warn",
        ]

    def _as_user(self, command: list[str]) -> list[str]:
        return command

    def ready(self) -> bool:
        asked = [*self._docker(), "version"]
        return subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0

    def import_image(self) -> None:
        """Make IMAGE from Debian's static busybox; no registry is asked."""
        content = io.BytesIO()
        with tarfile.open(fileobj=content, mode="w") as tar:
            tar.add(str(_busybox()), "bin/busybox")
            for name in _TOOLS:
                link = tarfile.TarInfo(f"bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
            for name in ("tmp", "work"):
                folder = tarfile.TarInfo(name)
                folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
                tar.addfile(folder)
        self.docker("import", "-", IMAGE, given=content.getvalue())

    def docker(self, *words: str, given: bytes = b"") -> str:
        """Run the docker command against this engine."""
        asked = [*self._docker(), *words]
        return subprocess.run(asked, input=given, capture_output=True, check=True).stdout.decode()

    def containers(self) -> list[str]:
        """The names of all containers, whatever their state."""
        return self.docker("ps", "--all", "--format", "{{.Names}}").split()

    def remove(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            if names := self.containers():
                self.docker("rm", "--force", *names)
        self.stop()
        for line in Path("/proc/self/mounts").read_text().splitlines():
            if (place := line.split()[1]).startswith(f"{self.folder}/"):
                subprocess.run(["umount", "--lazy", place], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _docker(self) -> list[str]:
        return [str(find_binary("docker")), "--host", self.url]


def _busybox() -> Path | None:
    return find_binary("busybox")


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    """A running engine with IMAGE; only for tests marked `needs("docker")`."""
    engine = DockerEngine()
    try:
        engine.start()
        engine.import_image()
        yield engine
    finally:
        engine.remove()
