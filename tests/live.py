"""A real service in a process of its own, to be talked to, killed and started again."""

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

import httpx2

SCRIPT = Path(__file__).with_name("serve.py")
SOURCE = Path(__file__).parents[1] / "src"


def wait_until(holds: Callable[[], Any], what: str, within_s: float = 30.0, every_s: float = 0.02) -> Any:
    """The first true answer of `holds`. Fails with `what` after `within_s`."""
    deadline = time.monotonic() + within_s
    while True:
        answer = holds()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(every_s)


class Live:
    """`settings` are those of `Config`. Everything lies in `data`."""

    def __init__(self, data: Path, **settings: Any) -> None:
        self.data = data
        self.settings = {"data": str(data), "port": 0, **settings}
        self.url = self.token = ""
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, within_s: float = 30.0) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TRAINMASTER_")}
        environment["PYTHONPATH"] = str(SOURCE)
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), json.dumps(self.settings)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=self.data.parent,
        )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], within_s)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            self._process.kill()
            _, errors = self._process.communicate()
            raise AssertionError(f"the service did not start: {errors[-3000:]}\n{self.log()[-3000:]}")
        told = json.loads(line)
        self.url, self.token = told["url"], told["token"]

    def log(self) -> str:
        path = self.data / "service.log"
        return path.read_text() if path.exists() else ""

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM, in order. Returns the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        try:
            code = self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._process = None
        return code

    @property
    def up(self) -> bool:
        return self._process is not None

    def client(self, timeout: float = 30.0) -> httpx2.Client:
        return httpx2.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {self.token}"}, timeout=timeout
        )

    def ended(self, client: httpx2.Client) -> bool:
        """No task is live."""
        counts = client.get("/v1/overview").json()["counts"]
        return not sum(n for state, n in counts.items() if state not in ("SUCCEEDED", "FAILED", "CANCELLED"))


def log_lines(client: httpx2.Client, task: str, **query: Any) -> list[dict[str, Any]]:
    """The whole log of a task, oldest first, through the pages a person would turn."""
    lines: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = client.get(f"/v1/tasks/{task}/logs", params={"after": after, "limit": 5000, **query}).json()
        lines += page["lines"]
        after = page["newer"]
    return lines


def live(data: Path, **settings: Any) -> Iterator[Live]:
    """A started service that is ended with all its tasks."""
    service = Live(data, leave_running=False, **settings)
    service.start()
    try:
        yield service
    finally:
        if service.up:
            service.stop()
