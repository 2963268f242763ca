"""The scheduler's part of an elastic group, played by a test: starts workers, plans, and reads reports."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parent / "scripts"
LIMIT_S = 60.0


class Nursery:
    """The process that workers are forked from, shared by all tests."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).parent / "nursery.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self._rest = b""
        self._pids: list[int] = []
        self.ended: dict[int, int] = {}

    def start(self, script: Path, env: dict[str, str], out: Path) -> int:
        request = {"script": str(script), "env": env, "out": str(out)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        while not self._pids:
            self.listen(LIMIT_S)
        return self._pids.pop()

    def listen(self, wait_s: float) -> None:
        """Take in what is told, waiting for it at most so long."""
        assert self._process.stdout is not None
        fd = self._process.stdout.fileno()
        if select.select([fd], [], [], wait_s)[0]:
            read = os.read(fd, 65536)
            assert read, "the nursery died"
            *lines, self._rest = (self._rest + read).split(b"\n")
            for line in lines:
                told = json.loads(line)
                if "pid" in told:
                    self._pids.append(told["pid"])
                else:
                    self.ended[told["ended"]] = told["status"]

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(LIMIT_S)
        self._process.stdout.close()


class Coordinator:
    """One attempt of a group. `env` is given to every worker."""

    def __init__(self, nursery: Nursery, folder: Path, script: str, **env: str) -> None:
        self.folder = folder
        self.generation = 0
        self.members: list[int] = []
        self._nursery = nursery
        self._script = SCRIPTS / script
        self._env = env
        self._next = 0
        self._pids: dict[int, int] = {}
        (folder / "group").mkdir(parents=True)

    # --- workers -------------------------------------------------------------------------------------------

    def start(self, **env: str) -> int:
        """A new worker, of another script if `SCRIPT` says so; returns its rank."""
        rank = self._next
        self._next += 1
        own = {
            "TRAINMASTER_GROUP": str(self.folder / "group"),
            "TRAINMASTER_RANK": str(rank),
            "TRAINMASTER_REPORT": str(self.folder / f"report-{rank}"),
            "TRAINMASTER_CHECKPOINT_DIR": str(self.folder / "checkpoints"),
        }
        values = own | {"FOLDER": str(self.folder)} | self._env | env
        script = SCRIPTS / values["SCRIPT"] if "SCRIPT" in values else self._script
        self._pids[rank] = self._nursery.start(script, values, self.folder / f"out-{rank}")
        return rank

    def start_ready(self, **env: str) -> int:
        rank = self.start(**env)
        self.until(lambda: bool(self.said(rank, "ready")), f"worker {rank} ready")
        return rank

    def signal(self, rank: int, number: int) -> None:
        os.kill(self._pids[rank], number)

    def exit(self, rank: int) -> int | None:
        """The exit code, None while the worker lives."""
        return self._nursery.ended.get(self._pids[rank])

    def wait_exit(self, rank: int) -> int:
        self.until(lambda: self.exit(rank) is not None, f"worker {rank} gone", may_end=True)
        code = self.exit(rank)
        assert code is not None
        return code

    # --- plans ---------------------------------------------------------------------------------------------

    def plan(self, *members: int) -> None:
        self.generation += 1
        self.members = list(members)
        store = self.said(members[0], "ready")[0]["store"]
        plan = {"generation": self.generation, "members": self.members, "store": store}
        part = self.folder / "group" / "plan.part"
        part.write_text(json.dumps(plan))
        part.replace(self.folder / "group" / "plan")

    def change(self, *members: int) -> None:
        """Plan, and wait until all have joined."""
        self.plan(*members)
        self.until(self.settled, f"generation {self.generation} joined by {members}")

    def settled(self) -> bool:
        return all(
            any(line["generation"] == self.generation for line in self.said(rank, "joined"))
            for rank in self.members
        )

    # --- what they say -------------------------------------------------------------------------------------

    def lines(self, rank: int) -> Iterator[dict[str, Any]]:
        path = self.folder / f"report-{rank}"
        if path.exists():
            for line in path.read_text().split("\n")[:-1]:
                yield json.loads(line)

    def said(self, rank: int, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines(rank) if line.get("group") == kind]

    def out(self, rank: int) -> str:
        return (self.folder / f"out-{rank}").read_text()

    def until(self, true: Callable[[], bool], what: str, may_end: bool = False) -> None:
        """Wait for a condition; fails at once when a worker dies of an error meanwhile."""
        deadline = time.monotonic() + LIMIT_S
        while not true():
            for rank in [] if may_end else self._pids:
                assert self.exit(rank) not in (1, 2), self.out(rank)
            assert time.monotonic() < deadline, f"not in time: {what}\n" + "\n".join(
                map(self.out, self._pids)
            )
            self._nursery.listen(0.005)

    def close(self) -> None:
        for rank, pid in self._pids.items():
            if self.exit(rank) is None:
                os.kill(pid, signal.SIGKILL)
        for rank in self._pids:
            self.wait_exit(rank)
