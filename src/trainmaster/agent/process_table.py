"""CPU time and memory of process trees, from one pass over /proc for all of them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import psutil

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """One process. `cpu_s` includes its children that have ended and were waited for."""

    pid: int
    parent: int
    group: int
    session: int
    cpu_s: float
    memory: int


def parse(stat: bytes) -> ProcessUse:
    """The content of /proc/<pid>/stat. The name in it may hold anything: we count from its last bracket."""
    pid = int(stat[: stat.index(b" ")])
    rest = stat[stat.rindex(b")") + 2 :].split()
    ticks = int(rest[11]) + int(rest[12]) + int(rest[13]) + int(rest[14])
    return ProcessUse(pid, int(rest[1]), int(rest[2]), int(rest[3]), ticks * _TICK_S, int(rest[21]) * _PAGE)


def read() -> dict[int, ProcessUse]:
    """Every process of the machine that can be read."""
    table = {}
    for pid in psutil.pids():
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                table[pid] = parse(file.read())
        except (OSError, ValueError):
            continue  # ended between the listing and the reading
    return table


def trees(table: dict[int, ProcessUse], roots: Iterable[Collection[int]]) -> list[set[int]]:
    """For each set of root pids the pids of its tree.

    A tree holds the roots, their descendants, and what left them but stayed in the process group or session a
    root leads: a child whose parent has ended belongs to `init`, yet still to its run.
    """
    below: dict[int, list[int]] = {}
    led: dict[int, list[int]] = {}
    for use in table.values():
        below.setdefault(use.parent, []).append(use.pid)
        led.setdefault(use.group, []).append(use.pid)
        if use.session != use.group:
            led.setdefault(use.session, []).append(use.pid)
    found = []
    for pids in roots:
        tree: set[int] = set()
        pending = [pid for pid in pids if pid in table]
        for pid in list(pending):
            pending += led.get(pid, ())
        while pending:
            pid = pending.pop()
            if pid not in tree:
                tree.add(pid)
                pending += below.get(pid, ())
        found.append(tree)
    return found
