"""How each runner is told to run a piece of Python, so that one suite fits all of them."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.nodes import Driven, run_id
from trainmaster.domain.run import Exit, Fault, RunReport, RunSpec
from trainmaster.runners import life
from trainmaster.runners.image import HostImage


class Kind:
    """`spec` makes a run of Python source; `failed` is the exit of one that called `sys.exit(code)`."""

    name = ""
    options: dict[str, Any] = {}  # of the node
    home = os.environ["HOME"]  # what a run finds as HOME
    visible: str | None = (
        "1,3"  # what a run given the GPUs 1 and 3 finds; None: this kind cannot be given any here
    )
    sees_pids = True  # are process ids inside the same as outside
    many = 60  # runs for a busy stretch

    def spec(self, folder: Path, name: str, source: str, **more: Any) -> RunSpec:
        raise NotImplementedError

    def failed(self, code: int) -> Exit:
        return Exit(code)

    def hold(self, node: Driven) -> Callable[[], None]:
        """Keep what is launched from now on from beginning. Returns what lets it begin."""
        server = node.agent._shared[0].server.pid()  # type: ignore[attr-defined]
        os.kill(server, signal.SIGSTOP)  # a function waits behind the one before it anyway
        return lambda: os.kill(server, signal.SIGCONT)

    def order(self, data: Path, report: RunReport) -> float:
        """Sorts runs by their begin."""
        assert report.started_at is not None
        return report.started_at


class ProcessKind(Kind):
    name = "process"

    def spec(self, folder: Path, name: str, source: str, **more: Any) -> RunSpec:
        command = (sys.executable, "-S", "-c", textwrap.dedent(source))
        return RunSpec(run_id(name), "process", command=command, **more)

    def order(self, data: Path, report: RunReport) -> float:
        # The shims are forked in order; which of them the kernel lets run first is its own affair.
        found = life.read(f"{data}/nodes/n1/runs/{report.id}")
        assert found is not None
        return float(found["claim"]["start"] * 10_000_000 + found["claim"]["pid"])


class FunctionKind(Kind):
    name = "function"

    def spec(self, folder: Path, name: str, source: str, **more: Any) -> RunSpec:
        module = "m_" + name.replace("-", "_")
        body = textwrap.indent(textwrap.dedent(source), "    ")
        (folder / f"{module}.py").write_text(f"def main():\n{body}\n    pass\n")
        values = {"directory": str(folder), **more}
        return RunSpec(run_id(name), "function", function=f"{module}:main", **values)

    def failed(self, code: int) -> Exit:
        return Exit(code, Fault.FUNCTION_RAISED, f"SystemExit: {code}")


class ContainerKind(Kind):
    """In an image that is nothing but read-only mounts of this machine's interpreter."""

    name = "container"
    home = "/tmp"
    visible = None
    sees_pids = False
    many = 12

    def __init__(self, url: str, image: HostImage, folder: Path) -> None:
        self._image = image
        # One at a time: of those made at once the engine starts whichever it is done with first.
        self.options = {"docker": url, "roots": [*image.roots, str(folder)], "at_once": 1}

    def spec(self, folder: Path, name: str, source: str, **more: Any) -> RunSpec:
        environment = (*self._image.environment, *more.pop("environment", ()))
        return RunSpec(
            run_id(name),
            "container",
            command=(sys.executable, "-S", "-c", textwrap.dedent(source)),
            image=self._image.name,
            volumes=(*self._image.volumes, f"{folder}:{folder}"),
            environment=environment,
            **more,
        )

    def hold(self, node: Driven) -> Callable[[], None]:
        return lambda: None  # making a container takes longer than asking for its end


KINDS = {kind.name: kind for kind in (ProcessKind(), FunctionKind())}
