"""The plan file: which generation is the newest, and who is in it (docs/adr/0007)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Plan:
    """One generation: its number, its members' ranks in order (the first leads), the leader's store."""

    generation: int
    members: tuple[int, ...]
    store: str


class PlanFile:
    """Reads the plan, and reads it again only when the file was replaced."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._seen = (0, 0)
        self._plan: Plan | None = None

    def look(self) -> Plan | None:
        """The newest plan; None before the first. Costs one `stat` while nothing changes."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return self._plan
        mark = (found.st_ino, found.st_mtime_ns)
        if mark != self._seen:
            read = json.loads(self._path.read_text(encoding="utf-8"))
            plan = Plan(int(read["generation"]), tuple(map(int, read["members"])), str(read["store"]))
            if self._plan is None or plan.generation > self._plan.generation:
                self._plan = plan
            self._seen = mark
        return self._plan
