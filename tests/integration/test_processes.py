"""The process runner's own duties: limits, leases, killed shims, a killed fork-server, a full disk."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.nodes import Driven, alive, lines, nothing_left, run_id, wait_for
from trainmaster.domain.run import Exit, Fault, RunSpec, RunState, Stream
from trainmaster.domain.units import Resources
from trainmaster.runners import cgroup, life, rundir


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Driven]:
    driven = await Driven(tmp_path / "data").start()
    yield driven
    await driven.close()
    await nothing_left(tmp_path / "data")


def python(name: str, source: str, **more: Any) -> RunSpec:
    return RunSpec(run_id(name), "process", command=(sys.executable, "-S", "-c", source), **more)


def folder_of(node: Driven, spec: RunSpec) -> str:
    return f"{node.data}/nodes/n1/runs/{spec.id}"


def claim_of(node: Driven, spec: RunSpec) -> int:
    found = life.read(folder_of(node, spec))
    assert found is not None
    pid = found["claim"]["pid"]
    assert isinstance(pid, int)
    return pid


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (("no-such-program",), 127, "no-such-program: command not found"),
        (("/no/such/program",), 127, "/no/such/program: command not found"),
        (("{tmp}/plain",), 126, "not executable"),
        (("{tmp}/orphan",), 127, "interpreter"),
        (("{tmp}/junk",), 126, "not a program"),
        (("{tmp}",), 126, "not executable"),
    ],
)
async def test_what_cannot_be_executed(
    node: Driven, tmp_path: Path, command: tuple[str, ...], code: int, words: str
) -> None:
    (tmp_path / "plain").write_text("text")
    for name, text in (("orphan", "#!/no/such/interpreter\n"), ("junk", "no program\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    spec = RunSpec(run_id("a"), "process", command=tuple(word.format(tmp=tmp_path) for word in command))
    report = await node.run(spec)
    assert report.exit is not None
    assert (report.exit.code, report.exit.fault) == (code, Fault.COMMAND_NOT_FOUND)
    assert words in report.exit.detail


async def test_the_path_of_the_task_is_searched(node: Driven, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("#!/bin/sh\necho mine\n")
    (tmp_path / "mine").chmod(0o755)
    spec = RunSpec(run_id("a"), "process", command=("mine",), environment=(("PATH", f"/nowhere:{tmp_path}"),))
    assert (await node.run(spec)).exit == Exit(0)
    assert node.log(spec.id) == b"mine\n"


async def test_too_long_a_command_line_is_refused(node: Driven) -> None:
    report = await node.run(RunSpec(run_id("a"), "process", command=("/bin/echo", "x" * 3_000_000)))
    assert report.exit is not None
    assert report.exit.fault is Fault.START_FAILED
    assert "Argument list too long" in report.exit.detail


async def test_a_signal_gives_the_code_shells_give(node: Driven) -> None:
    report = await node.run(python("a", "import os; os.kill(os.getpid(), 11)"))
    assert report.exit == Exit(139)


async def test_signals_have_their_usual_meaning(node: Driven) -> None:
    spec = RunSpec(run_id("a"), "process", command=("grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"))
    assert (await node.run(spec)).exit == Exit(0)
    _, blocked, _, ignored = node.log(spec.id).split()
    assert int(blocked, 16) == 0
    assert int(ignored, 16) & 0x7FFFFFFF == 0  # above it are the C library's own
    pipe = RunSpec(run_id("b"), "process", command=("/bin/sh", "-c", "yes | head -1"))
    assert (await node.run(pipe)).exit == Exit(0)


async def test_a_run_inherits_no_open_files(node: Driven) -> None:
    spec = RunSpec(run_id("a"), "process", command=("/bin/ls", "-l", "/proc/self/fd"))
    await node.run(spec)
    listed = [line.split()[-1] for line in node.log(spec.id).decode().splitlines()[1:]]
    folder = folder_of(node, spec)
    assert listed[:3] == ["/dev/null", f"{folder}/stdout", f"{folder}/stderr"]
    assert len(listed) == 4  # and the folder that is being listed


async def test_children_left_behind_are_killed_at_the_end(node: Driven, tmp_path: Path) -> None:
    left = tmp_path / "left"
    source = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    open({str(left)!r} + ".new", "w").write(str(os.getpid()))
    os.rename({str(left)!r} + ".new", {str(left)!r})
    time.sleep(600)
while not os.path.exists({str(left)!r}): time.sleep(.005)
"""
    report = await node.run(python("a", source))
    assert report.exit == Exit(0)
    assert not alive(int(left.read_text()))


async def test_a_process_that_ignores_term_is_killed_after_the_grace(node: Driven) -> None:
    spec = python(
        "a",
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True); time.sleep(600)",
    )
    await node.agent.launch([spec])
    await node.until(lambda: node.log(spec.id), "the handler")
    begin = time.monotonic()
    await node.agent.stop(spec.id, 0.3)
    report = await node.end(spec.id)
    assert report.exit == Exit(137, Fault.STOPPED)
    assert 0.3 <= time.monotonic() - begin < 5


async def test_a_second_stop_can_shorten_the_grace(node: Driven) -> None:
    spec = python(
        "a",
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True); time.sleep(600)",
    )
    await node.agent.launch([spec])
    await node.until(lambda: node.log(spec.id), "the handler")
    await node.agent.stop(spec.id, 600.0)
    await node.agent.stop(spec.id, 0.0)
    report = await node.end(spec.id, within_s=5)
    assert report.exit == Exit(137, Fault.STOPPED)


async def test_a_frozen_process_can_be_stopped(node: Driven) -> None:
    spec = python("a", "import os, time; print('on', flush=True); os.kill(os.getpid(), 19); time.sleep(600)")
    await node.agent.launch([spec])
    await node.until(lambda: node.log(spec.id), "its begin")
    await node.agent.stop(spec.id, 30.0)
    report = await node.end(spec.id, within_s=5)
    assert report.exit == Exit(143, Fault.STOPPED)


async def test_cores(tmp_path: Path) -> None:
    core = max(os.sched_getaffinity(0))
    node = await Driven(tmp_path / "data", cpus=(core,)).start()
    try:
        spec = python("a", "import os; print(sorted(os.sched_getaffinity(0)))")
        await node.run(spec)
        assert node.log(spec.id).decode() == f"[{core}]\n"
    finally:
        await node.close()
        await nothing_left(tmp_path / "data")


async def test_more_memory_than_allowed(node: Driven) -> None:
    group = cgroup.create("trainmaster-test-probe", 1 << 26)
    spec = python("a", "x = bytearray(400 << 20)", resources=Resources(memory=150 << 20))
    report = await node.run(spec)
    assert report.exit is not None
    if group is None:  # only the rlimit is left: Python itself sees the refusal
        assert report.exit.code == 1
        assert b"MemoryError" in node.log(spec.id, Stream.STDERR)
    else:
        group.remove()
        assert (report.exit.code, report.exit.fault) == (137, Fault.OUT_OF_MEMORY)
        assert "157286400" in report.exit.detail
        home = Path(group.path).parent
        await wait_for(lambda: not list(home.glob(f"trainmaster-{spec.id}-{os.getpid()}")), "its group to go")


async def test_memory_by_rlimit_where_no_group_can_be_made(node: Driven, tmp_path: Path) -> None:
    """A group name that no system accepts stands for a closed tree of control groups."""
    runner = node.agent._runners["process"]
    plan = runner._plan  # type: ignore[attr-defined]
    runner._plan = lambda run, folder: {**plan(run, folder), "group": "no/such/group"}  # type: ignore[attr-defined]
    source = "import resource; print(resource.getrlimit(resource.RLIMIT_AS)); x = bytearray(400 << 20)"
    spec = python("a", source, resources=Resources(memory=200 << 20))
    report = await node.run(spec)
    assert report.exit == Exit(1)
    assert node.log(spec.id).decode() == f"({200 << 20}, {200 << 20})\n"
    assert b"MemoryError" in node.log(spec.id, Stream.STDERR)


async def test_a_lease_nobody_renews_ends_the_run(node: Driven) -> None:
    spec = python("a", "import time; time.sleep(600)", lease_s=0.6, grace_s=0.2)
    await node.agent.launch([spec])
    await node.state(spec.id, RunState.RUNNING)
    for _ in range(5):  # polls keep it alive well past the lease
        begin = time.monotonic()
        while time.monotonic() < begin + 0.2:
            await node.poll(0.02)
    assert node.reports[spec.id].state is RunState.RUNNING
    silent = time.monotonic()
    await wait_for(lambda: "exit" in (life.read(folder_of(node, spec)) or {}), "the end of the lease")
    assert 0.05 < time.monotonic() - silent < 3
    report = await node.end(spec.id)
    assert report.exit is not None and report.exit.fault is Fault.LEASE_EXPIRED


async def test_a_killed_shim_means_lost_and_nothing_alive(node: Driven, tmp_path: Path) -> None:
    left = tmp_path / "left"
    source = f"""
import os, time
if os.fork() == 0:
    os.setsid()
    open({str(left)!r} + ".new", "w").write(str(os.getpid()))
    os.rename({str(left)!r} + ".new", {str(left)!r})
time.sleep(600)
"""
    spec = python("a", source)
    await node.agent.launch([spec])
    running = await node.state(spec.id, RunState.RUNNING)
    await wait_for(left.exists, "its child")
    os.kill(claim_of(node, spec), signal.SIGKILL)
    report = await node.state(spec.id, RunState.LOST)
    assert report.exit is not None
    assert (report.exit.code, report.exit.fault) == (None, Fault.VANISHED)
    assert running.pid is not None
    assert not alive(running.pid) and not alive(int(left.read_text()))
    await node.end(spec.id)


async def test_a_shim_killed_while_nobody_looked(tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = await Driven(data).start()
    spec = python("a", "import time; time.sleep(600)")
    await first.agent.launch([spec])
    running = await first.state(spec.id, RunState.RUNNING)
    shim = claim_of(first, spec)
    await first.close(leave_running=True)
    os.kill(shim, signal.SIGKILL)
    await wait_for(lambda: not alive(shim), "the shim's death")
    for _ in range(2):  # the second agent must come to the same conclusion as the first
        node = await Driven(data).start()
        report = await node.state(spec.id, RunState.LOST)
        assert report.exit is not None and report.exit.fault is Fault.VANISHED
        assert running.pid is not None and not alive(running.pid)
        await node.close()
    await nothing_left(data)


async def test_a_killed_fork_server_is_replaced_and_nothing_is_lost(node: Driven, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    before = python("before", "import sys, time; sys.stdin.read(); time.sleep(0.3)")
    await node.agent.launch([before])
    await node.state(before.id, RunState.RUNNING)
    server = node.agent._shared[0].server  # type: ignore[attr-defined]
    old = server.pid()
    os.kill(old, signal.SIGSTOP)  # so that the requests lie unread in its socket when it dies
    specs = [python(f"r{n}", f"open({str(ran)!r}, 'a').write('{n}\\n')") for n in range(20)]
    await node.agent.launch(specs)
    os.kill(old, signal.SIGKILL)
    await node.end(before.id, *(spec.id for spec in specs))
    assert sorted(map(int, lines(ran))) == list(range(20))
    assert all(report.exit == Exit(0) for report in node.reports.values())
    assert server.pid() != old


async def test_a_request_that_outlives_its_agent_does_no_harm(tmp_path: Path) -> None:
    """The fork-server is frozen while one agent asks and goes, and the next one asks again: one start."""
    data, ran = tmp_path / "data", tmp_path / "ran"
    first = await Driven(data).start()
    server = first.agent._shared[0].server.pid()  # type: ignore[attr-defined]
    os.kill(server, signal.SIGSTOP)
    spec = python("a", f"open({str(ran)!r}, 'a').write('ran\\n')")
    await first.agent.launch([spec])
    await first.close(leave_running=True)
    second = await Driven(data).start()
    await second.agent.launch([spec])
    os.kill(server, signal.SIGCONT)
    await second.run(python("b", "print(1)"))
    await second.end(spec.id)
    assert lines(ran) == ["ran"]
    await second.close()
    await nothing_left(data)


async def test_a_shim_serves_one_run_after_the_other(node: Driven) -> None:
    first = python("a", "print(1)", environment=(("ONLY", "a"),), directory="/usr")
    await node.run(first)
    source = "import os, time; print(os.getcwd(), os.environ.get('ONLY'), flush=True); time.sleep(0.3)"
    second = python("b", source, directory="/tmp")
    await node.agent.launch([second])
    await node.until(lambda: node.log(second.id), "its output")
    assert claim_of(node, second) == claim_of(node, first)
    os.kill(claim_of(node, second), signal.SIGTERM)  # late, and meant for the run before
    report = await node.end(second.id)
    assert report.exit == Exit(0)
    assert node.log(second.id) == b"/tmp None\n"


async def test_cores_of_one_run_do_not_stay_with_the_shim(node: Driven) -> None:
    runner = node.agent._runners["process"]
    runner._cpus = [max(os.sched_getaffinity(0))]  # type: ignore[attr-defined]
    first, second = python("a", "print(1)"), python("b", "import os; print(len(os.sched_getaffinity(0)))")
    await node.run(first)
    runner._cpus = None  # type: ignore[attr-defined]
    await node.run(second)
    assert node.log(second.id).decode() == f"{len(os.sched_getaffinity(0))}\n"
    assert claim_of(node, second) == claim_of(node, first)


async def test_an_unreadable_spec_fails_its_run_and_spares_the_fork_server(node: Driven) -> None:
    runner = node.agent._runners["process"]
    fill = rundir.fill

    def broken(folder: str, run: RunSpec, plan: dict[str, Any]) -> None:
        fill(folder, run, plan)
        Path(folder, life.SPEC).write_text("{")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(rundir, "fill", broken)
        spec = python("a", "print(1)")
        await runner.launch(spec)
        report = await node.state(spec.id, RunState.EXITED)
    assert report.exit is not None and report.exit.fault is Fault.START_FAILED
    assert (await node.run(python("b", "print(1)"))).exit == Exit(0)


async def test_a_folder_that_was_never_made_whole_is_cleared_away(tmp_path: Path) -> None:
    data = tmp_path / "data"
    spec = python("a", "print('now')")
    half = data / "nodes/n1/runs" / str(spec.id)
    half.mkdir(parents=True)
    (half / "spec.json.123.new").write_text("{")
    node = await Driven(data).start()
    assert (await node.run(spec)).exit == Exit(0)
    assert node.log(spec.id) == b"now\n"
    await node.close()
    await nothing_left(data)


async def test_a_spec_of_another_version_is_still_adopted(tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = await Driven(data).start()
    spec = python("a", "import time; time.sleep(600)")
    await first.agent.launch([spec])
    await first.state(spec.id, RunState.RUNNING)
    await first.close(leave_running=True)
    path = Path(folder_of(first, spec)) / life.SPEC
    path.write_text(path.read_text().replace('"run":{', '"run":{"unheard_of":1,'))
    node = await Driven(data).start()
    await node.agent.stop(spec.id, 0.0)
    assert (await node.end(spec.id)).exit == Exit(137, Fault.STOPPED)
    await node.close()
    await nothing_left(data)


async def test_a_line_of_ten_megabytes(node: Driven) -> None:
    spec = python("a", "import os\nfor _ in range(10): os.write(1, b'x' * 1000 * 1000)\nos.write(1, b'\\n')")
    await node.run(spec)
    assert node.log(spec.id) == b"x" * 10_000_000 + b"\n"


async def test_a_folder_that_cannot_be_written_fails_the_run_only(
    node: Driven, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: str, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(life, "put", full)
        report = await node.run(python("a", "print(1)"))
    assert report.exit is not None
    assert report.exit.fault is Fault.START_FAILED
    assert "No space left on device" in report.exit.detail
    assert (await node.run(python("b", "print(1)"))).exit == Exit(0)


async def test_an_unknown_kind_is_refused(node: Driven) -> None:
    spec = RunSpec(run_id("a"), "spaceship")
    await node.agent.launch([spec])
    report = await node.state(spec.id, RunState.EXITED)
    assert report.exit == Exit(None, Fault.START_FAILED, "this node runs no spaceship tasks")
    await node.agent.forget([spec.id])


async def test_an_idle_node_costs_nothing_and_is_small(node: Driven) -> None:
    await node.run(python("a", "print(1)"))
    server = node.agent._shared[0].server.pid()  # type: ignore[attr-defined]

    def ticks() -> int:
        stat = Path(f"/proc/{server}/stat").read_text()
        return sum(map(int, stat[stat.rindex(")") + 2 :].split()[11:13]))

    before, own = ticks(), time.process_time()
    for _ in range(3):
        await node.poll(0.3)
    assert ticks() - before <= 1
    assert time.process_time() - own < 0.05
    resident = int(Path(f"/proc/{server}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert resident <= 15_000_000
