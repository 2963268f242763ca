"""A service for the demo alone, in a folder that is removed with it."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import trainmaster
from trainmaster.domain.errors import TrainmasterError

NODES = 4
CORES = 2.0
_START_S = 60.0
_STOP_S = 20.0


class DemoFailed(TrainmasterError):
    code = "demo-failed"
    remedy = "`trainmaster doctor` says what this machine lacks"


class PrivateService:
    """`with PrivateService() as service`: runs until the end of the block, however that comes about.

    It is a process of its own in a session of its own, so that Ctrl-C reaches us alone and we stop it in
    order; should we die without a word, it sees its standard input end and stops by itself.
    """

    def __init__(self, volume_roots: Sequence[str] = ()) -> None:
        """`volume_roots`: what containers may mount besides the demo's own folder."""
        self._roots = volume_roots
        self.folder = Path()
        self.url = self.login_url = self.token = ""
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> PrivateService:
        self.folder = Path(tempfile.mkdtemp(prefix="trainmaster-demo-"))
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def check(self) -> None:
        """Raise DemoFailed if the service has ended on its own."""
        if self._process is not None and self._process.poll() is not None:
            raise DemoFailed(f"the service ended with {self._process.returncode}: {self._last_words()}")

    def _start(self) -> None:
        command = [sys.executable, "-m", "trainmaster.cli.main", "up", "--json", "--stop-on-eof"]
        command += ["--data", str(self.folder / "data"), "--port", "0", "--kill-tasks"]
        command += ["--nodes", str(NODES), "--cores", str(CORES)]
        with open(self.folder / "errors", "w") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=self.folder,
                env=self._environment(),
                start_new_session=True,
            )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], _START_S)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            raise DemoFailed(f"the private service did not start: {self._last_words()}")
        told: dict[str, Any] = json.loads(line)
        self.url, self.login_url = told["url"], told["login_url"]
        kept = json.loads((self.folder / "data" / "credentials.json").read_text(encoding="utf-8"))
        self.token = kept["token"]

    def _environment(self) -> dict[str, str]:
        """Ours without the settings of another service; the package is found from any folder."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TRAINMASTER_")}
        environment["PYTHONPATH"] = os.pathsep.join(
            [package_root()] + [p for p in (environment.get("PYTHONPATH"),) if p]
        )
        environment["TRAINMASTER_VOLUME_ROOTS"] = json.dumps([str(self.folder), *self._roots])
        return environment

    def _last_words(self) -> str:
        try:
            words = (self.folder / "errors").read_text(errors="replace").strip()
        except OSError:
            words = ""
        return words.splitlines()[-1].removeprefix("error: ") if words else "it said nothing"

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        # What a killed task was just writing may appear once more.
        for _ in range(20):
            shutil.rmtree(self.folder, ignore_errors=True)
            if not self.folder.exists():
                return
            time.sleep(0.1)


def package_root() -> str:
    """The folder to import this very package from."""
    return str(Path(trainmaster.__file__).resolve().parents[1])
