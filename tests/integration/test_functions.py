"""The function runner's own duties: lanes that die, queues that move, modules, results, adoption."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.nodes import Driven, alive, lines, nothing_left, run_id, wait_for
from trainmaster.domain.run import Exit, Fault, RunSpec, RunState, Stream

JOBS = """
import asyncio, os, subprocess, sys, time

def nothing():
    pass

def give(*values, **named):
    return {"values": values, "named": named}

async def later(x):
    await asyncio.sleep(0)
    return x + 1

def shout(word):
    print(word)
    print(word.upper(), file=sys.stderr)
    os.write(1, b"raw\\n")
    subprocess.run(["/bin/echo", "from a child"])

def fail():
    raise ValueError("not today")

def leave(code):
    sys.exit(code)

def die(how):
    os._exit(3) if how == "exit" else os.kill(os.getpid(), 9)

def mark(path, word):
    with open(path, "a") as file:
        file.write(word + "\\n")

def wait(path):
    while not os.path.exists(path):
        time.sleep(0.005)

def deaf(path):
    open(path, "w").close()
    while True:
        try:
            time.sleep(600)
        except BaseException:
            pass

def split():
    return os.getpid() if os.fork() else None

def pid():
    return os.getpid()

def huge():
    return "x" * (2 << 20)

def odd():
    return {1, 2}
"""

Make = Callable[..., RunSpec]


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/jobs.py").write_text(JOBS)
    return tmp_path / "code"


@pytest.fixture
async def node(tmp_path: Path, jobs: Path) -> AsyncIterator[Driven]:
    driven = await Driven(tmp_path / "data", lanes=1).start()
    yield driven
    await driven.close()
    await nothing_left(tmp_path / "data")


@pytest.fixture
def call(jobs: Path) -> Make:
    def make(name: str, function: str, *arguments: Any, **more: Any) -> RunSpec:
        values = {"directory": str(jobs), "arguments": json.dumps(list(arguments) or None), **more}
        full = function if ":" in function else f"jobs:{function}"
        return RunSpec(run_id(name), "function", function=full, **values)

    return make


def exit_of(node: Driven, spec: RunSpec) -> Exit:
    exit_ = node.reports[spec.id].exit
    assert exit_ is not None
    return exit_


@pytest.mark.parametrize(
    ("function", "arguments", "result"),
    [
        ("nothing", "null", None),
        ("give", '[1, "two"]', '{"values":[1,"two"],"named":{}}'),
        ("give", '{"a": 1}', '{"values":[],"named":{"a":1}}'),
        ("later", "[41]", "42"),
        ("leave", "[0]", None),
        ("leave", "[null]", None),
    ],
)
async def test_arguments_and_results(
    node: Driven, call: Make, function: str, arguments: str, result: str | None
) -> None:
    report = await node.run(call("a", function, arguments=arguments))
    assert report.exit == Exit(0, result=result)


@pytest.mark.parametrize(
    ("function", "arguments", "code", "fault", "words"),
    [
        ("fail", "null", 1, Fault.FUNCTION_RAISED, "ValueError: not today"),
        ("leave", "[4]", 4, Fault.FUNCTION_RAISED, "SystemExit: 4"),
        ("leave", '["gone"]', 1, Fault.FUNCTION_RAISED, "SystemExit: gone"),
        ("later", '{"y": 1}', 1, Fault.FUNCTION_RAISED, "TypeError"),
        ("nothing", "3", 1, Fault.FUNCTION_RAISED, "JSON object"),
        ("huge", "null", 1, Fault.FUNCTION_RAISED, "write it to a file"),
        ("odd", "null", 1, Fault.FUNCTION_RAISED, "JSON cannot hold"),
        ("absent", "null", 127, Fault.COMMAND_NOT_FOUND, "no such function"),
        ("no.such:module", "null", 127, Fault.COMMAND_NOT_FOUND, "no module named 'no'"),
        ("broken:x", "null", 1, Fault.FUNCTION_RAISED, "No module named 'gone_missing'"),
        ("wrong:x", "null", 1, Fault.FUNCTION_RAISED, "SyntaxError"),
    ],
)
async def test_failures_say_why(
    node: Driven, call: Make, jobs: Path, function: str, arguments: str, code: int, fault: Fault, words: str
) -> None:
    (jobs / "broken.py").write_text("import gone_missing\n")
    (jobs / "wrong.py").write_text("def x(:\n")
    spec = call("a", function, arguments=arguments)
    await node.run(spec)
    ended = exit_of(node, spec)
    assert (ended.code, ended.fault) == (code, fault)
    assert words in ended.detail
    assert (await node.run(call("b", "nothing"))).exit == Exit(0)  # the lane goes on


async def test_a_traceback_shows_the_users_frames_only(node: Driven, call: Make, jobs: Path) -> None:
    spec = call("a", "fail")
    await node.run(spec)
    text = node.log(spec.id, Stream.STDERR).decode()
    assert f'File "{jobs}/jobs.py"' in text and "ValueError: not today" in text
    assert "lane.py" not in text


async def test_each_call_has_its_own_output(node: Driven, call: Make) -> None:
    specs = [call(f"r{n}", "shout", f"word{n}") for n in range(5)]
    await node.agent.launch(specs)
    await node.end(*(spec.id for spec in specs))
    for n, spec in enumerate(specs):
        out = node.log(spec.id).decode().splitlines()
        assert sorted(out) == ["from a child", "raw", f"word{n}"]
        assert node.log(spec.id, Stream.STDERR).decode() == f"WORD{n}\n"


@pytest.mark.parametrize(("how", "code"), [("exit", 3), ("kill", 137)])
async def test_a_dying_lane_fails_its_call_and_no_other(
    node: Driven, call: Make, tmp_path: Path, how: str, code: int
) -> None:
    ran = tmp_path / "ran"
    first, fatal = call("first", "mark", str(ran), "first"), call("fatal", "die", how)
    rest = [call(f"r{n}", "mark", str(ran), f"r{n}") for n in range(30)]
    await node.agent.launch([first, fatal, *rest])
    await node.end(first.id, fatal.id, *(spec.id for spec in rest))
    died = exit_of(node, fatal)
    assert (died.code, died.fault) == (code, Fault.LANE_DIED)
    assert f"exit code {code}" in died.detail
    assert exit_of(node, first) == Exit(0)
    assert all(exit_of(node, spec) == Exit(0) for spec in rest)
    assert lines(ran) == ["first", *(f"r{n}" for n in range(30))]


async def test_a_killed_shim_takes_its_lane_along(node: Driven, call: Make, tmp_path: Path) -> None:
    long, after = call("long", "wait", str(tmp_path / "never")), call("after", "nothing")
    await node.agent.launch([long, after])
    pid = await node.pid(long.id)
    shim = int(Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()[1])
    os.kill(shim, signal.SIGKILL)
    await node.end(long.id, after.id)
    assert exit_of(node, long).fault is Fault.LANE_DIED
    assert exit_of(node, after) == Exit(0)
    assert not alive(pid)


async def test_a_deaf_function_is_killed_and_the_queue_goes_on(
    node: Driven, call: Make, tmp_path: Path
) -> None:
    began, ran = tmp_path / "began", tmp_path / "ran"
    deaf = call("deaf", "deaf", str(began))
    rest = [call(f"r{n}", "mark", str(ran), f"r{n}") for n in range(3)]
    await node.agent.launch([deaf, *rest])
    await wait_for(began.exists, "its begin")
    await node.agent.stop(deaf.id, 0.2)
    await node.end(deaf.id, *(spec.id for spec in rest))
    assert exit_of(node, deaf) == Exit(137, Fault.STOPPED)
    assert lines(ran) == ["r0", "r1", "r2"]


async def test_a_queued_call_is_withdrawn_at_once(node: Driven, call: Make, tmp_path: Path) -> None:
    go, ran = tmp_path / "go", tmp_path / "ran"
    long = call("long", "wait", str(go))
    queued = [call(f"r{n}", "mark", str(ran), f"r{n}") for n in range(3)]
    await node.agent.launch([long, *queued])
    await node.state(long.id, RunState.RUNNING)
    await node.agent.stop(queued[1].id, 10.0)
    assert (await node.end(queued[1].id)).exit == Exit(None, Fault.NEVER_STARTED)
    assert node.reports[long.id].state is RunState.RUNNING
    go.touch()
    await node.end(long.id, queued[0].id, queued[2].id)
    assert lines(ran) == ["r0", "r2"]


async def test_an_idle_lane_takes_over_from_a_blocked_one(tmp_path: Path, jobs: Path, call: Make) -> None:
    node = await Driven(tmp_path / "data", lanes=2).start()
    go, ran = tmp_path / "go", tmp_path / "ran"
    try:
        long = call("long", "wait", str(go))
        specs = [call(f"r{n}", "mark", str(ran), f"r{n}") for n in range(20)]
        await node.agent.launch([long, *specs])
        await node.end(*(spec.id for spec in specs))
        assert node.reports[long.id].state is RunState.RUNNING
        assert sorted(lines(ran)) == sorted(f"r{n}" for n in range(20))
        go.touch()
        await node.end(long.id)
    finally:
        await node.close()
        await nothing_left(tmp_path / "data")


async def test_modules_of_one_name_in_two_directories(node: Driven, call: Make, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "helper.py").write_text(f"NAME = {name!r}\n")
        (tmp_path / name / "same.py").write_text("import helper\ndef who():\n    return helper.NAME\n")
    for n, name in enumerate(("one", "two", "one", "two")):
        spec = call(f"r{n}", "same:who", directory=str(tmp_path / name))
        assert (await node.run(spec)).exit == Exit(0, result=f'"{name}"')


async def test_an_edited_module_is_used_by_the_next_call(node: Driven, call: Make, jobs: Path) -> None:
    for version, pause_s in ((1, 0.0), (22, 0.25)):  # a lane looks at most every 0.2 s
        (jobs / "edited.py").write_text(f"import part\ndef which():\n    return [{version}, part.VERSION]\n")
        (jobs / "part.py").write_text(f"VERSION = {version}\n")
        begin = time.monotonic()
        while time.monotonic() < begin + pause_s:
            await node.poll(0.05)
        report = await node.run(call(f"v{version}", "edited:which"))
        assert report.exit == Exit(0, result=f"[{version},{version}]")


async def test_lines_of_a_long_call_are_seen_at_once(
    node: Driven, call: Make, jobs: Path, tmp_path: Path
) -> None:
    (jobs / "talk.py").write_text("import jobs\ndef talk(path):\n    print('hello')\n    jobs.wait(path)\n")
    spec = call("a", "talk:talk", str(tmp_path / "go"))
    await node.agent.launch([spec])
    await node.until(lambda: node.log(spec.id) == b"hello\n", "the line")
    assert node.reports[spec.id].state is RunState.RUNNING
    (tmp_path / "go").touch()
    await node.end(spec.id)


async def test_garbage_is_collected_and_crashes_are_explained(node: Driven, call: Make, jobs: Path) -> None:
    (jobs / "low.py").write_text(
        "import ctypes, gc\ndef on():\n    return gc.isenabled()\ndef crash():\n    ctypes.string_at(0)\n"
    )
    assert (await node.run(call("a", "low:on"))).exit == Exit(0, result="true")
    spec = call("b", "low:crash")
    await node.run(spec)
    died = exit_of(node, spec)
    assert (died.code, died.fault) == (139, Fault.LANE_DIED)
    assert b"Segmentation fault" in node.log(spec.id, Stream.STDERR)
    assert b"low.py" in node.log(spec.id, Stream.STDERR)


async def test_one_small_lane_stays_warm(node: Driven, call: Make) -> None:
    specs = [call(f"r{n}", "pid") for n in range(5)]
    for spec in specs:
        await node.run(spec)
    (pid,) = {exit_of(node, spec).result for spec in specs}
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert resident <= 20_000_000


async def test_a_function_that_forks_does_not_make_two_lanes(node: Driven, call: Make) -> None:
    first, second = await node.run(call("a", "split")), await node.run(call("b", "pid"))
    assert first.exit is not None and second.exit is not None
    assert first.exit.result == second.exit.result


async def test_a_lane_is_replaced_after_enough_work(
    node: Driven, call: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainmaster.runners.function.RETIRE_INBOX", 2000)
    specs = [call(f"r{n}", "pid") for n in range(40)]
    for spec in specs:
        await node.run(spec)
    assert len({exit_of(node, spec).result for spec in specs}) > 3
    await node.agent.forget([spec.id for spec in specs])
    await node.poll(0.02)
    folders = node.data / "nodes/n1/lanes"
    await wait_for(lambda: len(list(folders.iterdir())) <= 2, "old lanes to be deleted")


async def test_forgotten_calls_stay_forgotten(tmp_path: Path, call: Make) -> None:
    data = tmp_path / "data"
    first = await Driven(data).start()
    kept, gone = call("kept", "pid"), call("gone", "pid")
    await first.run(kept)
    await first.run(gone)
    await first.agent.forget([gone.id])
    await first.poll(0.02)
    await first.close(leave_running=True)
    second = await Driven(data).start()
    await second.end(kept.id)
    assert set(second.reports) == {kept.id}
    assert exit_of(second, kept) == exit_of(first, kept)
    after = call("after", "pid")
    await second.run(after)
    assert exit_of(second, after) == exit_of(first, kept)  # the same lane serves the new agent
    await second.close()
    await nothing_left(data)


async def test_a_withdrawn_call_is_remembered_by_the_next_agent(tmp_path: Path, call: Make) -> None:
    data, go = tmp_path / "data", tmp_path / "go"
    first = await Driven(data).start()
    long, queued, other = call("long", "wait", str(go)), call("queued", "nothing"), call("other", "nothing")
    await first.agent.launch([long, queued, other])
    await first.state(long.id, RunState.RUNNING)
    await first.agent.stop(queued.id, 1.0)
    await first.close(leave_running=True)
    second = await Driven(data).start()
    await second.poll(0.05)
    assert exit_of(second, queued) == Exit(None, Fault.NEVER_STARTED)
    assert second.reports[other.id].state is RunState.PREPARING
    assert second.reports[long.id].state is RunState.RUNNING
    go.touch()
    await second.end(long.id, queued.id, other.id)
    assert exit_of(second, other) == Exit(0)
    await second.close()
    await nothing_left(data)


async def test_a_lane_that_died_while_nobody_looked(tmp_path: Path, call: Make) -> None:
    data, ran = tmp_path / "data", tmp_path / "ran"
    first = await Driven(data).start()
    long = call("long", "wait", str(tmp_path / "never"))
    queued = [call(f"r{n}", "mark", str(ran), f"r{n}") for n in range(3)]
    await first.agent.launch([long, *queued])
    pid = await first.pid(long.id)
    await first.close(leave_running=True)
    os.kill(pid, signal.SIGKILL)
    await wait_for(lambda: not alive(pid), "its death")
    second = await Driven(data).start()
    await second.end(long.id, *(spec.id for spec in queued))
    assert exit_of(second, long).fault is Fault.LANE_DIED
    assert lines(ran) == ["r0", "r1", "r2"]
    await second.close(leave_running=True)
    third = await Driven(data).start()  # and it stays so
    await third.end(long.id, *(spec.id for spec in queued))
    assert exit_of(third, long) == exit_of(second, long)
    assert lines(ran) == ["r0", "r1", "r2"]
    await third.close()
    await nothing_left(data)
