"""Calls that are handed to a lane before they are due: the lane keeps the time."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.nodes import Driven, lines, nothing_left, run_id, wait_for
from trainmaster.domain.run import Exit, Fault, RunSpec, RunState

JOBS = """
import os, time
open(os.environ["HOME"] + "/imported", "a").write("x\\n")

def mark(path, word):
    with open(path, "a") as file:
        file.write(f"{word} {time.time()!r}\\n")
"""
CRASHES = "import os\nos._exit(5)\n"

Make = Callable[..., RunSpec]


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "code").mkdir()
    (tmp_path / "code/timed.py").write_text(JOBS)
    (tmp_path / "code/crashes.py").write_text(CRASHES)
    return tmp_path / "code"


@pytest.fixture
async def node(tmp_path: Path, code: Path) -> AsyncIterator[Driven]:
    driven = await Driven(tmp_path / "data", lanes=1).start()
    yield driven
    await driven.close()
    await nothing_left(tmp_path / "data")


@pytest.fixture
def call(tmp_path: Path, code: Path) -> Make:
    def make(name: str, in_s: float, function: str = "timed:mark", **more: Any) -> RunSpec:
        arguments = json.dumps([str(tmp_path / "ran"), name]) if function == "timed:mark" else "null"
        return RunSpec(
            run_id(name),
            "function",
            function=function,
            arguments=arguments,
            directory=str(code),
            not_before=time.time() + in_s,
            **more,
        )

    return make


async def test_a_call_begins_when_it_is_due_and_others_do_not_wait_for_it(
    node: Driven, call: Make, tmp_path: Path
) -> None:
    later, soon, now = call("later", 1.0), call("soon", 0.5), call("now", -1.0)
    await node.agent.launch([later, soon, now])
    await node.end(later.id, soon.id, now.id)
    ran = [line.split() for line in lines(tmp_path / "ran")]
    assert [word for word, _ in ran] == ["now", "soon", "later"]
    for (_, at), spec in zip(ran, (now, soon, later), strict=True):
        assert float(at) >= spec.not_before


async def test_of_those_due_at_one_moment_the_higher_priority_goes_first(
    node: Driven, call: Make, tmp_path: Path
) -> None:
    due = time.time() + 1.0
    specs = [call(f"p{n}", 0, priority=(0, float(n))) for n in (2, 9, 5)] + [call("u", 0, priority=(1, 0.0))]
    specs = [RunSpec.from_dict({**spec.to_dict(), "not_before": due}) for spec in specs]
    await node.agent.launch(specs)
    await node.end(*(spec.id for spec in specs))
    assert [line.split()[0] for line in lines(tmp_path / "ran")] == ["u", "p9", "p5", "p2"]


async def test_what_it_needs_is_imported_before_it_is_due(node: Driven, call: Make, tmp_path: Path) -> None:
    spec = call("a", 60.0)
    await node.agent.launch([spec])
    await wait_for(lambda: lines(tmp_path / "imported"), "the module is imported")
    await node.state(spec.id, RunState.PREPARING)
    await node.agent.stop(spec.id, 1.0)
    await node.end(spec.id)
    assert node.reports[spec.id].exit == Exit(None, Fault.NEVER_STARTED)


async def test_a_module_that_kills_its_lane_fails_its_own_call_only(
    node: Driven, call: Make, tmp_path: Path
) -> None:
    fatal, good = call("fatal", 0.5, "crashes:x"), call("good", 0.6)
    await node.agent.launch([fatal, good])
    await node.end(fatal.id, good.id, within_s=40)
    exit_ = node.reports[fatal.id].exit
    assert exit_ is not None and (exit_.code, exit_.fault) == (5, Fault.LANE_DIED)
    assert node.reports[good.id].exit == Exit(0)


async def test_it_survives_its_lane_and_its_agent(call: Make, tmp_path: Path) -> None:
    node = await Driven(tmp_path / "data", lanes=1).start()
    first, spec = call("first", -1.0), call("a", 2.0)
    await node.agent.launch([first, spec])
    await node.end(first.id)
    (lane,) = (tmp_path / "data").glob("**/lanes/*")
    life = [json.loads(line) for line in (lane / "life").read_text().splitlines()]
    (child,) = [line["started"]["child"] for line in life if "started" in line]
    os.kill(child, signal.SIGKILL)
    await wait_for(lambda: (lane.parent / "00000002").exists(), "another lane has the call")
    await node.close(leave_running=True)
    second = await Driven(tmp_path / "data", lanes=1).start()
    await second.end(spec.id)
    await second.close()
    await nothing_left(tmp_path / "data")
    assert [line.split()[0] for line in lines(tmp_path / "ran")] == ["first", "a"]
