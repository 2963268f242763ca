"""One suite for every runner: what the agent and the service rely on, whatever executes a run."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.runner_kinds import KINDS, ContainerKind, Kind
from tests.nodes import Driven, alive, lines, nothing_left, run_id, wait_for
from trainmaster.domain.run import Exit, Fault, RunSpec, RunState, Stream
from trainmaster.runners.image import ensure_host_image

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=[*sorted(KINDS), pytest.param("container", marks=pytest.mark.needs("docker"))])
async def kind(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kind]:
    if request.param != "container":
        yield KINDS[request.param]
        return
    engine = request.getfixturevalue("docker_engine")
    yield ContainerKind(engine.url, await ensure_host_image(engine.url), tmp_path)
    if left := engine.containers():  # of runs that were not forgotten; the names come again in the next test
        engine.docker("rm", "--force", *left)


@pytest.fixture
async def node(tmp_path: Path, kind: Kind) -> AsyncIterator[Driven]:
    driven = await Driven(tmp_path / "data", **kind.options).start()
    yield driven
    await driven.close()
    await nothing_left(tmp_path / "data")


async def test_success_is_reported_with_times(node: Driven, kind: Kind, tmp_path: Path) -> None:
    spec = kind.spec(tmp_path, "a", "print('hello')")
    report = await node.run(spec)
    assert report.state is RunState.EXITED
    assert report.exit == Exit(0)
    assert report.started_at is not None and report.ended_at is not None
    assert 0 <= report.ended_at - report.started_at < 20
    assert node.log(spec.id) == b"hello\n"


async def test_exit_code_is_kept(node: Driven, kind: Kind, tmp_path: Path) -> None:
    report = await node.run(kind.spec(tmp_path, "a", "import sys; sys.exit(7)"))
    assert report.exit == kind.failed(7)


async def test_a_long_run_is_reported_running_first(node: Driven, kind: Kind, tmp_path: Path) -> None:
    go = tmp_path / "go"
    spec = kind.spec(
        tmp_path, "a", f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(.01)"
    )
    await node.agent.launch([spec])
    assert alive(await node.pid(spec.id))
    go.touch()
    await node.end(spec.id)
    states = [report.state for report in node.told if report.id == spec.id]
    assert states[-2:] == [RunState.RUNNING, RunState.EXITED]


async def test_output_arrives_while_it_runs(node: Driven, kind: Kind, tmp_path: Path) -> None:
    go = tmp_path / "go"
    source = f"""
        import os, time
        print("first", flush=True)
        while not os.path.exists({str(go)!r}): time.sleep(.01)
        print("second", flush=True)
    """
    spec = kind.spec(tmp_path, "a", source)
    await node.agent.launch([spec])
    await node.until(lambda: node.log(spec.id) == b"first\n", "the first line")
    go.touch()
    await node.end(spec.id)
    assert node.log(spec.id) == b"first\nsecond\n"


async def test_binary_output_is_exact_on_both_streams(node: Driven, kind: Kind, tmp_path: Path) -> None:
    source = """
        import os
        every = bytes(range(256))
        for n in range(4000): os.write(1, every + b"%d" % n)
        os.write(2, every * 3)
    """
    spec = kind.spec(tmp_path, "a", source)
    await node.run(spec)
    every = bytes(range(256))
    assert node.log(spec.id) == b"".join(every + b"%d" % n for n in range(4000))
    assert node.log(spec.id, Stream.STDERR) == every * 3
    assert max(len(chunk.data) for chunk in node.chunks) <= 256 * 1024


async def test_progress_reports_arrive_in_whole_lines(node: Driven, kind: Kind, tmp_path: Path) -> None:
    go = tmp_path / "go"
    source = f"""
        import os, time
        with open(os.environ["TRAINMASTER_REPORT"], "a") as report:
            report.write('{{"loss": 1}}\\n{{"loss"')
            report.flush()
            while not os.path.exists({str(go)!r}): time.sleep(.01)
            report.write(': 0.5}}\\n')
    """
    spec = kind.spec(tmp_path, "a", source)
    await node.agent.launch([spec])
    await node.until(lambda: node.log(spec.id, Stream.PROGRESS), "a report")
    assert node.log(spec.id, Stream.PROGRESS) == b'{"loss": 1}\n'
    go.touch()
    await node.end(spec.id)
    assert node.log(spec.id, Stream.PROGRESS) == b'{"loss": 1}\n{"loss": 0.5}\n'


async def test_a_run_knows_who_it_is(node: Driven, kind: Kind, tmp_path: Path) -> None:
    names = ["TASK", "ATTEMPT", "RANK", "WORLD_SIZE", "NODE"]
    source = f"""
        import os
        print([os.environ["TRAINMASTER_" + name] for name in {names}])
        print(os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ["COLOUR"], os.getcwd())
    """
    more = {
        "environment": (("COLOUR", "blue"),),
        "devices": (1, 3) if kind.visible else (),
        "world_size": 4,
        "directory": str(tmp_path),
    }
    spec = kind.spec(tmp_path, "a", source, **more)
    await node.run(spec)
    expected = f"['t-a', '1', '0', '4', 'n1']\n{kind.visible} blue {tmp_path}\n"
    assert node.log(spec.id).decode() == expected


async def test_the_tasks_environment_wins_and_stays_its_own(node: Driven, kind: Kind, tmp_path: Path) -> None:
    source = "import os; print(os.environ.get('HOME'), os.environ.get('ONLY'))"
    first = kind.spec(tmp_path, "a", source, environment=(("HOME", "/mine"), ("ONLY", "first")))
    second = kind.spec(tmp_path, "b", source)
    await node.run(first)
    await node.run(second)
    assert node.log(first.id) == b"/mine first\n"
    assert node.log(second.id).decode() == f"{kind.home} None\n"


async def test_missing_directory_is_named(node: Driven, kind: Kind, tmp_path: Path) -> None:
    report = await node.run(kind.spec(tmp_path, "a", "print(1)", directory=str(tmp_path / "nowhere")))
    assert report.exit is not None
    assert report.exit.fault is Fault.DIRECTORY_MISSING
    assert str(tmp_path / "nowhere") in report.exit.detail


async def test_stop_kills_what_fled_into_its_own_session(node: Driven, kind: Kind, tmp_path: Path) -> None:
    child, grandchild = tmp_path / "child", tmp_path / "grandchild"
    fled = f"""
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.setsid()
if os.fork() == 0:
    os.setsid()
    open({str(grandchild)!r} + ".new", "w").write(str(os.getpid()))
    os.rename({str(grandchild)!r} + ".new", {str(grandchild)!r})
else:
    open({str(child)!r} + ".new", "w").write(str(os.getpid()))
    os.rename({str(child)!r} + ".new", {str(child)!r})
time.sleep(600)
"""
    start = f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-S', '-c', {fled!r}])"
    source = start + "\ntime.sleep(600)"
    spec = kind.spec(tmp_path, "a", source)
    await node.agent.launch([spec])
    await node.until(lambda: child.exists() and grandchild.exists(), "the grandchildren")
    pid = await node.pid(spec.id)
    born = [int(child.read_text()), int(grandchild.read_text())] if kind.sees_pids else []
    await node.agent.stop(spec.id, 0.2)
    report = await node.state(spec.id, RunState.EXITED)
    assert report.exit is not None and report.exit.fault is Fault.STOPPED
    assert [one for one in [*born, pid] if alive(one)] == []
    await node.end(spec.id)


async def test_stop_gives_time_to_clean_up(node: Driven, kind: Kind, tmp_path: Path) -> None:
    source = """
        import os, signal, sys, time
        if __name__ == "__main__":
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        try:
            print("on", flush=True)
            time.sleep(600)
        finally:
            print("clean", flush=True)
    """
    spec = kind.spec(tmp_path, "a", source)
    await node.agent.launch([spec])
    await node.until(lambda: node.log(spec.id) == b"on\n", "the first line")
    await node.agent.stop(spec.id, 30.0)
    report = await node.end(spec.id)
    assert report.exit is not None and report.exit.fault is Fault.STOPPED
    assert node.log(spec.id) == b"on\nclean\n"


async def test_stop_with_no_grace_kills_at_once(node: Driven, kind: Kind, tmp_path: Path) -> None:
    spec = kind.spec(
        tmp_path, "a", "import time\ntry:\n    time.sleep(600)\nfinally:\n    print('late', flush=True)"
    )
    await node.agent.launch([spec])
    await node.state(spec.id, RunState.RUNNING)
    await node.agent.stop(spec.id, 0.0)
    report = await node.end(spec.id)
    assert report.exit == Exit(137, Fault.STOPPED)
    assert node.log(spec.id) == b""


async def test_stopping_what_is_unknown_or_over_changes_nothing(
    node: Driven, kind: Kind, tmp_path: Path
) -> None:
    await node.agent.stop(run_id("unknown"), 1.0)
    spec = kind.spec(tmp_path, "a", "print(1)")
    before = await node.run(spec)
    await node.agent.stop(spec.id, 0.0)
    await node.poll(0.05)
    assert node.reports == {spec.id: before}


async def test_stopped_before_its_start_it_never_starts(node: Driven, kind: Kind, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    blocker = kind.spec(tmp_path, "blocker", "import time; time.sleep(600)")
    await node.agent.launch([blocker])
    await node.state(blocker.id, RunState.RUNNING)
    release = kind.hold(node)
    try:
        spec = kind.spec(tmp_path, "a", f"open({str(ran)!r}, 'a').write('ran')")
        await node.agent.launch([spec])
        await node.agent.stop(spec.id, 5.0)
        report = await node.end(spec.id)
    finally:
        release()
    assert report.exit is not None and report.exit.fault is Fault.NEVER_STARTED
    await node.agent.stop(blocker.id, 0.0)
    await node.end(blocker.id)
    after = kind.spec(tmp_path, "b", "print(1)")
    await node.run(after)  # the request or the queue behind it was served by now
    assert not ran.exists()


async def test_launched_twice_it_runs_once(node: Driven, kind: Kind, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    spec = kind.spec(tmp_path, "a", f"open({str(ran)!r}, 'a').write('ran\\n')")
    await node.agent.launch([spec, spec])
    await node.agent.launch([spec])
    await node.end(spec.id)
    await node.agent.launch([spec])
    await node.run(kind.spec(tmp_path, "b", "print(1)"))
    assert lines(ran) == ["ran"]


async def test_higher_priority_starts_first(node: Driven, kind: Kind, tmp_path: Path) -> None:
    specs = [
        kind.spec(tmp_path, name, "print(1)", priority=(urgency, priority))
        for name, urgency, priority in [("low", 0, 1.0), ("urgent", 1, 0.0), ("high", 0, 5.0)]
    ]
    await node.agent.launch(specs)
    await node.end(*(spec.id for spec in specs))
    order = sorted(specs, key=lambda spec: kind.order(node.data, node.reports[spec.id]))
    assert [spec.id.task for spec in order] == ["t-urgent", "t-high", "t-low"]


async def test_forgotten_runs_leave_nothing(node: Driven, kind: Kind, tmp_path: Path) -> None:
    spec = kind.spec(tmp_path, "a", "print('x' * 1000)")
    await node.run(spec)
    assert await node.agent.read_log(spec.id, Stream.STDOUT, 990, 5) == b"x" * 5
    await node.agent.forget([spec.id])
    await node.poll(0.02)
    assert await node.agent.read_log(spec.id, Stream.STDOUT, 0, 10) == b""
    node.cursor = ("", 0)
    node.reports.clear()
    await node.poll(0.02)
    assert node.reports == {}
    await wait_for(lambda: not list((tmp_path / "data").rglob(f"*{spec.id}*")), "its files to go")


async def test_a_log_is_kept_until_it_is_stored(node: Driven, kind: Kind, tmp_path: Path) -> None:
    spec = kind.spec(tmp_path, "a", "import os\nfor n in range(3 * 1024): os.write(1, b'x' * 1024)")
    await node.agent.launch([spec])
    await node.until(lambda: spec.id in node.reports and node.reports[spec.id].exit, "its end")
    await node.agent.forget([spec.id])
    await node.end(spec.id)
    assert len(node.log(spec.id)) == 3 * 1024 * 1024


async def test_a_lost_answer_is_sent_again(node: Driven, kind: Kind, tmp_path: Path) -> None:
    spec = kind.spec(tmp_path, "a", "print('hello')")
    await node.poll(0.01)
    await node.agent.launch([spec])
    cursor, reports, logs = node.cursor, set(), set()
    while not (reports and logs):  # answers arrive and are thrown away
        result = await node.agent.poll(cursor, 1.0, {})
        reports |= {report.id for report in result.changed if report.exit}
        logs |= {chunk.run for chunk in result.logs if chunk.data}
    await node.end(spec.id)
    assert node.log(spec.id) == b"hello\n"


# --- the owner is killed -----------------------------------------------------------------------------------


def own(data: Path, given: Path, specs: list[RunSpec], options: dict[str, Any]) -> subprocess.Popen[bytes]:
    """A process that owns the node and has launched the runs."""
    given.write_text(json.dumps([spec.to_dict() for spec in specs]))
    owner = subprocess.Popen(
        [sys.executable, "-m", "tests.contracts.owner", str(data), str(given), json.dumps(options)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}/src:{ROOT}"},
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"launched\n"
    return owner


def kill(owner: subprocess.Popen[bytes]) -> None:
    owner.kill()
    owner.wait()
    assert owner.stdout is not None
    owner.stdout.close()


async def test_runs_outlive_their_owner_and_are_adopted(kind: Kind, tmp_path: Path) -> None:
    go, data = tmp_path / "go", tmp_path / "data"
    source = f"""
        import os, sys, time
        print("before", flush=True)
        open({str(tmp_path / "began")!r}, "a").write("began\\n")
        while not os.path.exists({str(go)!r}): time.sleep(.01)
        print("after", flush=True)
        sys.exit(5)
    """
    long = kind.spec(tmp_path, "long", source)
    owner = own(data, tmp_path / "given", [long], kind.options)
    try:
        await wait_for(lambda: (tmp_path / "began").exists(), "its begin")
    finally:
        kill(owner)
    node = await Driven(data, **kind.options).start()
    try:
        await node.poll(0.1)
        assert node.reports[long.id].state is RunState.RUNNING
        await node.agent.launch([long])  # the service may ask again: it changes nothing
        go.touch()
        report = await node.end(long.id)
        assert report.exit == kind.failed(5)
        assert node.log(long.id) == b"before\nafter\n"
        assert lines(tmp_path / "began") == ["began"]
    finally:
        await node.close()
        await nothing_left(data)


async def test_what_ended_without_an_owner_is_known_to_the_next(kind: Kind, tmp_path: Path) -> None:
    data, done = tmp_path / "data", tmp_path / "done"
    source = f"""
        import os, sys, time
        open({str(tmp_path / "began")!r}, "a").write("began\\n")
        while os.path.exists("/proc/%s" % open({str(tmp_path / "owner")!r}).read()): time.sleep(.01)
        print("alone", flush=True)
        open({str(done)!r}, "w").close()
        sys.exit(3)
    """
    spec = kind.spec(tmp_path, "a", source)
    (tmp_path / "owner").write_text("self")
    owner = own(data, tmp_path / "given", [spec], kind.options)
    try:
        await wait_for(lambda: (tmp_path / "began").exists(), "its begin")
    finally:
        (tmp_path / "owner").write_text(str(owner.pid))
        kill(owner)
    await wait_for(done.exists, "its end")
    node = await Driven(data, **kind.options).start()
    try:
        report = await node.end(spec.id)
        assert report.exit == kind.failed(3)
        assert node.log(spec.id) == b"alone\n"
    finally:
        await node.close()
        await nothing_left(data)


async def test_stop_after_adoption(kind: Kind, tmp_path: Path) -> None:
    data = tmp_path / "data"
    source = f"import time; open({str(tmp_path / 'began')!r}, 'a').write('began\\n'); time.sleep(600)"
    spec = kind.spec(tmp_path, "a", source)
    owner = own(data, tmp_path / "given", [spec], kind.options)
    try:
        await wait_for(lambda: (tmp_path / "began").exists(), "its begin")
    finally:
        kill(owner)
    node = await Driven(data, **kind.options).start()
    try:
        await node.agent.stop(spec.id, 5.0)
        report = await node.end(spec.id)
        assert report.exit is not None and report.exit.fault is Fault.STOPPED
    finally:
        await node.close()
        await nothing_left(data)


async def test_killed_again_and_again_every_run_happens_once(kind: Kind, tmp_path: Path) -> None:
    """The owner dies at four moments of a busy stretch; what the next one does not know is launched anew."""
    data, ran = tmp_path / "data", tmp_path / "ran"
    count = kind.many
    specs = [
        kind.spec(
            tmp_path, f"r{n}", f"import os; os.write(os.open({str(ran)!r}, 1025 | 64), b'{n}\\n'); print({n})"
        )
        for n in range(count)
    ]
    for round_ in range(4):
        owner = own(data, tmp_path / "given", specs, kind.options)
        try:
            await wait_for(lambda: len(lines(ran)) >= count * round_ // 5, "some progress")  # noqa: B023
        finally:
            kill(owner)
    node = await Driven(data, **kind.options).start()
    try:
        await node.agent.launch(specs)
        await node.end(*(spec.id for spec in specs), within_s=40)
        assert sorted(map(int, lines(ran))) == list(range(count))
        assert [node.reports[spec.id].exit for spec in specs] == [Exit(0)] * count
        assert [node.log(spec.id) for spec in specs] == [b"%d\n" % n for n in range(count)]
    finally:
        await node.close()
        await nothing_left(data)


async def test_closed_without_leaving_anything_running(kind: Kind, tmp_path: Path) -> None:
    node = await Driven(tmp_path / "data", **kind.options).start()
    spec = kind.spec(tmp_path, "a", "import time; time.sleep(600)", grace_s=5.0)
    await node.agent.launch([spec])
    pid = await node.pid(spec.id)
    await asyncio.wait_for(node.close(leave_running=False), 20)
    assert not alive(pid)
    await nothing_left(tmp_path / "data")
