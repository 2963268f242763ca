"""A memory limit for one run by a control group of its own, where this process may make one.

Works with the memory controller of version 1 and of version 2. The group is always a child of our own (or,
under version 2, a sibling, as a group with processes may not have children there), so no limit set on us is
escaped.
"""

from __future__ import annotations

import os
import time

_ROOT = "/sys/fs/cgroup"


class MemoryGroup:
    """One run's group. The shim joins it, spawns the command into it and leaves again."""

    def __init__(self, path: str, home: str, version: int) -> None:
        self.path = path
        self._home = home
        self._version = version

    def join(self) -> None:
        """Move the calling process in: what it spawns is born inside."""
        _put(f"{self.path}/cgroup.procs", str(os.getpid()))

    def leave(self) -> None:
        """Move the calling process back to where it came from."""
        _put(f"{self._home}/cgroup.procs", str(os.getpid()))

    def killed(self) -> bool:
        """True if the kernel killed something in the group for lack of memory."""
        name = "memory.oom_control" if self._version == 1 else "memory.events"
        try:
            with open(f"{self.path}/{name}", encoding="ascii") as file:
                words = file.read().split()
        except OSError:
            return False
        return "oom_kill" in words and int(words[words.index("oom_kill") + 1]) > 0

    def remove(self) -> None:
        """Delete the group once it is empty; the kernel needs a moment after the last exit."""
        for pause_s in (0.0, 0.001, 0.01, 0.1):
            time.sleep(pause_s)
            try:
                os.rmdir(self.path)
                return
            except FileNotFoundError:
                return
            except OSError:
                continue


def create(name: str, limit: int) -> MemoryGroup | None:
    """Make a group that may use `limit` bytes, swap included. None where the system does not let us."""
    for home, parent, version in _places():
        path = f"{parent}/{name}"
        try:
            os.mkdir(path, 0o755)
        except FileExistsError:
            pass
        except OSError:
            continue
        try:
            if version == 1:
                _put(f"{path}/memory.limit_in_bytes", str(limit))
                _try(f"{path}/memory.memsw.limit_in_bytes", str(limit))
            else:
                _put(f"{path}/memory.max", str(limit))
                _try(f"{path}/memory.swap.max", "0")
                _try(f"{path}/memory.oom.group", "1")
            return MemoryGroup(path, home, version)
        except OSError:
            try:
                os.rmdir(path)
            except OSError:
                pass
    return None


def _places() -> list[tuple[str, str, int]]:
    """Where a group may be made: (our own group, the parent for the new one, version)."""
    places = []
    with open("/proc/self/cgroup", encoding="ascii") as file:
        lines = file.read().splitlines()
    for text in lines:
        _, controllers, own = text.split(":", 2)
        if "memory" in controllers.split(","):
            home = f"{_ROOT}/memory{own.rstrip('/')}"
            if not os.path.isdir(home):  # a container sees its own group as the root of the mount
                home = f"{_ROOT}/memory"
            places.append((home, home, 1))
        elif controllers == "" and os.path.exists(f"{_ROOT}/cgroup.controllers"):
            home = f"{_ROOT}{own.rstrip('/')}"
            places.append((home, home, 2))
            if own != "/" and _read(f"{home}/memory.max").strip() == "max":
                places.append((home, os.path.dirname(home), 2))
    return places


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""


def _put(path: str, value: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def _try(path: str, value: str) -> None:
    try:
        _put(path, value)
    except OSError:
        pass
