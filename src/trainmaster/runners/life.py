"""The life file of a run: one append-only journal that says who began it, what started and how it ended.

Its lines are JSON objects with one key each: `claim` (the shim), `started` (the command) and `exit`. It comes
into being by `link`, already locked and with its first line, so whoever links it alone may begin the run and
no reader ever sees it half made. The lock is held while the shim lives. A line counts once its newline is
there.

The fork-server and the shims use this module: it imports only what they have loaded anyway.
"""

from __future__ import annotations

import fcntl
import json
import os
from typing import Any

LIFE = "life"
SPEC = "spec.json"
STOP = "stop"
STDOUT = "stdout"
STDERR = "stderr"
RAW = "raw"
PROGRESS = "progress.jsonl"
OUTPUT = "output.json"  # what a workflow hands on
PLAN = "plan"  # of the elastic group, the newest

_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode


def line(kind: str, value: dict[str, Any]) -> bytes:
    """One line of a life file."""
    return _encode({kind: value}).encode() + b"\n"


def claim(folder: str, first: bytes) -> int | None:
    """Become the one who may begin the run. Returns the locked descriptor to append to, None if too late.

    Raises OSError if the folder is gone or the disk refuses.
    """
    mine = f"{folder}/{LIFE}.{os.getpid()}"
    fd = os.open(mine, os.O_CREAT | os.O_TRUNC | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        write(fd, first)
        os.link(mine, f"{folder}/{LIFE}")
    except FileExistsError:
        os.close(fd)
        return None
    except BaseException:
        os.close(fd)
        raise
    finally:
        os.unlink(mine)
    return fd


def read(folder: str) -> dict[str, dict[str, Any]] | None:
    """The life so far as `{"claim": …, "started": …, "exit": …}`; None while nobody has begun the run."""
    try:
        with open(f"{folder}/{LIFE}", "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return None
    return parse(content)


def parse(content: bytes) -> dict[str, dict[str, Any]]:
    """Whole lines as one mapping. The first of a kind counts, so nothing can be rewritten.

    A full disk can leave half a line; whoever writes on begins with a newline, and the half is passed over.
    """
    found: dict[str, dict[str, Any]] = {}
    for text in content.split(b"\n")[:-1]:
        try:
            known = json.loads(text)
        except ValueError:
            continue
        for kind, value in known.items():
            found.setdefault(kind, value)
    return found


def held(folder: str) -> bool:
    """True while the shim of the run lives, by the lock the kernel drops when it dies."""
    try:
        fd = os.open(f"{folder}/{LIFE}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(fd)


def start_time(pid: int) -> int | None:
    """When a process began, in clock ticks since boot: with its pid it names a process for good."""
    try:
        # Not `open`: its layers of buffers cost more than the rest, in a process that is new and cold.
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        stat = os.read(fd, 4096)
    except ProcessLookupError:
        return None
    finally:
        os.close(fd)
    return int(stat[stat.rindex(b")") + 2 :].split()[19])


def boot_id() -> str:
    """Names this boot of the machine: after another one no recorded pid means anything."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def hint(fifo: str, message: bytes) -> None:
    """Tell a living agent something at once. Losing it delays, nothing else: the files are the truth."""
    try:
        fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        os.write(fd, message)
    except OSError:
        pass
    finally:
        os.close(fd)


def put(path: str, content: bytes) -> None:
    """Write a small file atomically: readers see all of it or the one before."""
    temporary = f"{path}.{os.getpid()}.new"
    fd = os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        write(fd, content)
    finally:
        os.close(fd)
    os.rename(temporary, path)


def write(fd: int, content: bytes) -> None:
    """Write all of it; a full disk raises OSError instead of leaving the rest out."""
    while content:
        content = content[os.write(fd, content) :]
