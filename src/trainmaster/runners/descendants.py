"""Finding and killing every process below one, whatever sessions and groups they fled to."""

from __future__ import annotations

import os

KILL = 9
STOP = 19


def below(root: int) -> list[int]:
    """Pids of all descendants of `root`, parents before children."""
    children = None if _listed(root) else _by_parent()
    found: list[int] = []
    front = [root]
    while front:
        pid = front.pop()
        born = children.get(pid, []) if children is not None else _children(pid)
        found += born
        front += born
    return found


def _listed(pid: int) -> bool:
    """True if the kernel keeps lists of children."""
    return os.path.exists(f"/proc/{pid}/task/{pid}/children")


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += [int(word) for word in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def _by_parent() -> dict[int, list[int]]:
    """All processes by parent, for kernels without the `children` files."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                stat = file.read()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parent = int(stat[stat.rindex(b")") + 2 :].split()[1])
        children.setdefault(parent, []).append(int(name))
    return children


def signal_all(pids: list[int], number: int) -> None:
    """Send a signal to each; those already gone do not matter."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass


def kill_below(root: int) -> int:
    """KILL all descendants of `root`, frozen first so that none can fork away. Returns their number."""
    frozen: set[int] = set()
    while fresh := [pid for pid in below(root) if pid not in frozen]:
        signal_all(fresh, STOP)
        frozen.update(fresh)
    signal_all(list(frozen), KILL)
    return len(frozen)


def carrying(variable: bytes) -> list[int]:
    """Pids of all processes with this `NAME=value` in their environment: what a dead shim left behind."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if variable in file.read().split(b"\0"):
                    found.append(int(name))
        except OSError:
            continue
    return found


def zombie(pid: int) -> bool:
    """True if the process is dead and only waits for its parent to notice, or is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat[stat.rindex(b")") + 2 : stat.rindex(b")") + 3] in (b"Z", b"X")
