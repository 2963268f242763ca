"""The container runner on a real Docker engine."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.docker_engine import IMAGE, DockerEngine
from tests.integration.container_node import ContainerNode, names, run_id, shell, until
from trainmaster.domain.ids import RunId
from trainmaster.domain.run import Exit, Fault, RunSpec, RunState, Stream
from trainmaster.domain.units import Resources
from trainmaster.runners.life import boot_id

pytestmark = pytest.mark.needs("docker")
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def node(tmp_path: Path, docker_engine: DockerEngine) -> AsyncIterator[ContainerNode]:
    node = ContainerNode(tmp_path / "node", docker_engine.url, allowed_roots=[str(tmp_path / "data")])
    (tmp_path / "data").mkdir()
    await node.adopt()
    yield node
    await node.runner.close(leave_running=False)
    left = names(docker_engine)
    if left:
        docker_engine.docker("rm", "--force", *left)


# --- what a run is given and what is told of it ------------------------------------------------------------


async def test_exit_code_output_and_times(node: ContainerNode) -> None:
    spec = shell("a", "echo out; echo err >&2; exit 7")
    report = await node.run(spec)
    assert [told.state for told in node.told] == [RunState.PREPARING, RunState.RUNNING, RunState.EXITED]
    assert report.exit == Exit(7)
    assert report.started_at is not None and report.ended_at is not None
    assert 0 <= report.ended_at - report.started_at < 20
    assert node.log(spec) == b"out\n"
    assert node.log(spec, Stream.STDERR) == b"err\n"


async def test_what_an_attempt_saves_the_next_one_finds(node: ContainerNode) -> None:
    first = shell("a", "echo 42 > $TRAINMASTER_CHECKPOINT_DIR/state")
    assert (await node.run(first)).exit == Exit(0)
    await node.runner.forget(first.id)
    again = shell("a", "cat $TRAINMASTER_CHECKPOINT_DIR/state")
    again = replace(again, id=RunId(again.id.task, 2, 0))
    await node.run(again)
    assert node.log(again) == b"42\n"
    other = shell("b", "ls $TRAINMASTER_CHECKPOINT_DIR")
    await node.run(other)
    assert node.log(other) == b""


async def test_a_run_knows_who_it_is_and_the_tasks_environment_wins(node: ContainerNode) -> None:
    environment = (("COLOUR", "a=b c"), ("TRAINMASTER_NODE", "mine"))
    script = 'echo "$TRAINMASTER_TASK.$TRAINMASTER_ATTEMPT.$TRAINMASTER_RANK/$TRAINMASTER_WORLD_SIZE"; ' \
        'echo "$TRAINMASTER_NODE $COLOUR"; pwd'  # fmt: skip
    spec = shell("a", script, environment=environment, directory="/work", world_size=4)
    await node.run(spec)
    assert node.log(spec) == b"t-a.1.0/4\nmine a=b c\n/work\n"


async def test_progress_reports_land_in_the_runs_folder(node: ContainerNode) -> None:
    spec = shell("a", 'echo "{\\"loss\\":1}" >> $TRAINMASTER_REPORT; rm -f $TRAINMASTER_REPORT')
    await node.run(spec)
    assert node.log(spec, Stream.PROGRESS) == b'{"loss":1}\n'


async def test_what_it_hands_on_is_told_with_its_exit(node: ContainerNode) -> None:
    """Of a run that ended well; if that cannot be read the run has failed."""
    value = '{"rows":[1,2],"name":"n"}'
    assert (await node.run(shell("a", f"echo '{value}' > $TRAINMASTER_OUTPUT"))).exit == Exit(0, result=value)
    assert (await node.run(shell("b", "echo 1 > $TRAINMASTER_OUTPUT; exit 3"))).exit == Exit(3)
    broken = (await node.run(shell("c", "echo nothing > $TRAINMASTER_OUTPUT"))).exit
    assert broken is not None and broken.fault is Fault.BAD_OUTPUT


async def test_binary_output_is_exact_on_both_streams(node: ContainerNode, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4000 + b"no newline at the end"
    (tmp_path / "data" / "bytes").write_bytes(content)
    volumes = (f"{tmp_path}/data:/data:ro",)
    spec = shell("a", "cat /data/bytes; cat /data/bytes >&2", volumes=volumes)
    await node.run(spec)
    assert node.log(spec) == content
    assert node.log(spec, Stream.STDERR) == content


async def test_a_single_line_of_two_megabytes(node: ContainerNode) -> None:
    spec = shell("a", "dd if=/dev/zero bs=1000 count=2000 2>/dev/null")
    await node.run(spec)
    assert node.log(spec) == bytes(2_000_000)


async def test_output_arrives_while_it_runs(node: ContainerNode, tmp_path: Path) -> None:
    script = "echo first; while [ ! -e /data/go ]; do sleep 0.01; done; echo second"
    spec = shell("a", script, volumes=(f"{tmp_path}/data:/data",))
    await node.runner.launch(spec)
    await until(lambda: node.log(spec) == b"first\n", "the first line")
    assert node.reports[spec.id].exit is None
    (tmp_path / "data" / "go").touch()
    await node.end(spec)
    assert node.log(spec) == b"first\nsecond\n"


async def test_limits_and_labels_reach_the_engine(node: ContainerNode, docker_engine: DockerEngine) -> None:
    spec = shell("a", "sleep 600", resources=Resources(cpu_m=500, memory=64 * 2**20))
    await node.runner.launch(spec)
    report = await node.running(spec)
    (info,) = json.loads(docker_engine.docker("inspect", str(spec.id)))
    host = info["HostConfig"]
    assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (500_000_000, 2**26, 2**26)
    assert (host["Privileged"], host["AutoRemove"], host["NetworkMode"]) == (False, False, "none")
    assert info["Config"]["Labels"]["trainmaster.run"] == "t-a.1.0"
    assert info["State"]["Pid"] == report.pid


async def test_root_inside_has_no_privilege(node: ContainerNode) -> None:
    script = "cat /proc/self/status; ls /sys/class/net; chmod 777 /proc/sys/kernel/hostname && echo bad"
    spec = shell("a", script)
    await node.run(spec)
    status = node.log(spec).decode()
    assert "CapEff:\t0000000000000000" in status and "CapBnd:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert "eth0" not in status and "bad" not in status


async def test_too_much_memory_is_named(node: ContainerNode) -> None:
    # One shell doubling a string: the process that is killed is the run's own.
    spec = shell("a", "x=aaaaaaaa; while :; do x=$x$x; done", resources=Resources(memory=16 * 2**20))
    report = await node.run(spec)
    assert report.exit is not None
    assert (report.exit.code, report.exit.fault) == (137, Fault.OUT_OF_MEMORY)


# --- what cannot begin -------------------------------------------------------------------------------------


async def test_command_not_found(node: ContainerNode) -> None:
    report = await node.run(RunSpec(run_id("a"), "container", ("/bin/nope", "x"), image=IMAGE))
    assert report.exit == Exit(127, Fault.COMMAND_NOT_FOUND, "/bin/nope: command not found in the image")


async def test_a_command_that_is_no_program(node: ContainerNode) -> None:
    report = await node.run(RunSpec(run_id("a"), "container", ("/tmp",), image=IMAGE))
    assert report.exit is not None
    assert (report.exit.code, report.exit.fault) == (126, Fault.COMMAND_NOT_FOUND)


async def test_no_command_and_an_image_without_one(node: ContainerNode) -> None:
    report = await node.run(RunSpec(run_id("a"), "container", (), image=IMAGE))
    assert report.exit is not None and report.exit.fault is Fault.COMMAND_NOT_FOUND
    assert "give one" in report.exit.detail


@pytest.mark.parametrize("directory", ["/nowhere", "/bin/sh", "relative", "/data/nowhere"])
async def test_missing_directory(
    node: ContainerNode, docker_engine: DockerEngine, tmp_path: Path, directory: str
) -> None:
    volumes = (f"{tmp_path}/data:/data",)
    report = await node.run(shell("a", "pwd", directory=directory, volumes=volumes))
    assert report.exit is not None and report.exit.fault is Fault.DIRECTORY_MISSING
    assert directory in report.exit.detail
    assert names(docker_engine) == set()
    assert list((tmp_path / "data").iterdir()) == []  # nor was it made


async def test_directories_that_exist(node: ContainerNode, tmp_path: Path) -> None:
    (tmp_path / "data" / "sub").mkdir()
    for number, directory in enumerate(["/", "/work", "/work", "/data", "/data/sub"]):
        spec = shell(f"d{number}", "pwd", directory=directory, volumes=(f"{tmp_path}/data:/data",))
        report = await node.run(spec)
        assert (report.exit, node.log(spec).decode()) == (Exit(0), f"{directory}\n")


@pytest.mark.parametrize("image", ["localhost:1/nosuch:2", "Bad Image", "sha256:" + "0" * 64])
async def test_an_image_that_cannot_be_had(node: ContainerNode, image: str) -> None:
    report = await node.run(RunSpec(run_id("a"), "container", ("x",), image=image))
    assert report.exit is not None and report.exit.fault is Fault.IMAGE_NOT_FOUND
    assert image in report.exit.detail and report.exit.code is None


@pytest.fixture
def silent_registry() -> Iterator[str]:
    """A registry that takes connections and says nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        yield f"127.0.0.1:{server.getsockname()[1]}"


async def test_a_silent_registry_is_given_up(
    tmp_path: Path, docker_engine: DockerEngine, silent_registry: str
) -> None:
    node = ContainerNode(tmp_path / "node", docker_engine.url, pull_silence_s=0.3)
    report = await node.run(RunSpec(run_id("a"), "container", ("x",), image=f"{silent_registry}/x:1"))
    assert report.exit is not None and report.exit.fault is Fault.IMAGE_NOT_FOUND
    assert "sent nothing for 0.3 s" in report.exit.detail
    await node.runner.close(leave_running=False)


async def test_volumes_are_refused_here_too(node: ContainerNode, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path / "secret")
    for number, volume in enumerate(
        ["/etc:/x", f"{tmp_path}/data/link:/x", f"{tmp_path}/data/../secret:/x", f"{tmp_path}/data/no:/x"]
    ):
        report = await node.run(shell(f"v{number}", "ls /x", volumes=(volume,)))
        assert report.exit is not None and report.exit.fault is Fault.VOLUME_REFUSED, volume


async def test_a_read_only_volume_cannot_be_written(node: ContainerNode, tmp_path: Path) -> None:
    report = await node.run(shell("a", "touch /data/x", volumes=(f"{tmp_path}/data:/data:ro",)))
    assert report.exit is not None and report.exit.code == 1
    report = await node.run(shell("b", "touch /data/x", volumes=(f"{tmp_path}/data:/data",)))
    assert report.exit == Exit(0)
    assert (tmp_path / "data" / "x").exists()


async def test_without_an_engine(tmp_path: Path) -> None:
    node = ContainerNode(tmp_path / "node", f"unix://{tmp_path}/none", engine_wait_s=0.2)
    assert await node.adopt() == []
    report = await node.run(shell("a", "echo"))
    assert report.exit is not None and report.exit.fault is Fault.NO_ENGINE
    assert "systemctl start docker" in report.exit.detail and "DOCKER_HOST" in report.exit.detail
    await node.runner.forget(report.id)
    await node.runner.close(leave_running=True)


# --- stop --------------------------------------------------------------------------------------------------


async def test_stop_gives_time_to_clean_up(node: ContainerNode) -> None:
    spec = shell("a", "trap 'echo clean; exit 3' TERM; echo on; while :; do sleep 0.01; done")
    await node.runner.launch(spec)
    await until(lambda: node.log(spec) == b"on\n", "the first line")
    await node.runner.stop(spec.id, 30.0)
    report = await node.end(spec)
    assert report.exit == Exit(3, Fault.STOPPED)
    assert node.log(spec) == b"on\nclean\n"


async def test_stop_kills_what_ignores_it_and_all_it_started(node: ContainerNode) -> None:
    spec = shell("a", "trap '' TERM; sleep 600 & sleep 600 & echo on; while :; do sleep 0.01; done")
    await node.runner.launch(spec)
    await until(lambda: node.log(spec) == b"on\n", "the first line")
    pid = node.reports[spec.id].pid
    assert pid is not None
    inside = _in_the_same_container(pid)
    assert len(inside) >= 4
    await node.runner.stop(spec.id, 0.2)
    report = await node.end(spec)
    assert report.exit == Exit(137, Fault.STOPPED)
    assert not any(Path(f"/proc/{pid}").exists() for pid in inside)


def _in_the_same_container(pid: int) -> list[int]:
    space = Path(f"/proc/{pid}/ns/pid").readlink()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "ns/pid").readlink() == space:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


async def test_stop_without_grace_and_a_second_stop_that_hurries(node: ContainerNode) -> None:
    at_once, hurried = shell("a", "sleep 600"), shell("b", "trap '' TERM; while :; do sleep 0.01; done")
    for spec in (at_once, hurried):
        await node.runner.launch(spec)
        await node.running(spec)
    await node.runner.stop(hurried.id, 600.0)
    await node.runner.stop(at_once.id, 0.0)
    await node.runner.stop(hurried.id, 0.0)
    for spec in (at_once, hurried):
        assert (await node.end(spec)).exit == Exit(137, Fault.STOPPED)


async def test_stopped_while_its_image_is_pulled_it_never_starts(
    node: ContainerNode, docker_engine: DockerEngine, silent_registry: str
) -> None:
    spec = RunSpec(run_id("a"), "container", ("x",), image=f"{silent_registry}/x:1")
    await node.runner.launch(spec)
    await node.runner.stop(spec.id, 600.0)
    report = await node.end(spec, within_s=5)
    assert report.exit is not None and report.exit.fault is Fault.NEVER_STARTED
    assert names(docker_engine) == set()


async def test_stopped_before_its_start_it_never_starts(node: ContainerNode, tmp_path: Path) -> None:
    starts = node.runner._place.starts
    for _ in range(4):
        await starts.acquire()  # nothing can be created or started now
    spec = shell("a", "touch /data/ran", volumes=(f"{tmp_path}/data:/data",))
    await node.runner.launch(spec)
    await until(lambda: node.runner._runs[spec.id].claimed, "its turn")
    await node.runner.stop(spec.id, 5.0)
    for _ in range(4):
        starts.release()
    report = await node.end(spec)
    assert report.exit is not None and report.exit.fault is Fault.NEVER_STARTED
    assert report.started_at is None
    assert not (tmp_path / "data" / "ran").exists()


async def test_stopping_what_is_unknown_or_over_changes_nothing(node: ContainerNode) -> None:
    await node.runner.stop(run_id("unknown"), 1.0)
    spec = shell("a", "true")
    before = await node.run(spec)
    await node.runner.stop(spec.id, 0.0)
    assert node.reports == {spec.id: before}


async def test_a_lease_that_nobody_renews_ends_the_run(node: ContainerNode) -> None:
    spec = shell("a", "sleep 600", lease_s=0.4, grace_s=0.0)
    report = await node.run(spec)
    assert report.exit is not None and report.exit.fault is Fault.LEASE_EXPIRED


async def test_closed_without_leaving_anything_running(tmp_path: Path, docker_engine: DockerEngine) -> None:
    node = ContainerNode(tmp_path / "node", docker_engine.url)
    spec = shell("a", "sleep 600", grace_s=0.1)
    await node.runner.launch(spec)
    pid = (await node.running(spec)).pid
    await node.runner.close(leave_running=False)
    assert node.reports[spec.id].exit is not None and not Path(f"/proc/{pid}").exists()
    docker_engine.docker("rm", str(spec.id))


# --- once and only once ------------------------------------------------------------------------------------


async def test_launched_twice_it_runs_once(node: ContainerNode, tmp_path: Path) -> None:
    spec = shell("a", "echo ran >> /data/ran", volumes=(f"{tmp_path}/data:/data",))
    await asyncio.gather(*(node.runner.launch(spec) for _ in range(3)))
    await node.end(spec)
    await node.runner.launch(spec)
    await node.run(shell("b", "true"))
    assert (tmp_path / "data" / "ran").read_text() == "ran\n"


async def test_a_stranger_of_the_same_name_is_left_alone(
    node: ContainerNode, docker_engine: DockerEngine
) -> None:
    docker_engine.docker("run", "--detach", "--network=none", "--name=t-a.1.0", IMAGE, "/bin/sleep", "600")
    spec = shell("a", "echo mine")
    report = await node.run(spec)
    assert report.exit is not None and report.exit.fault is Fault.START_FAILED
    assert "not ours" in report.exit.detail
    await node.runner.forget(spec.id)
    await until(lambda: not Path(node.runner._runs_folder, str(spec.id)).exists(), "its folder's removal")
    assert names(docker_engine) == {"t-a.1.0"}


async def test_forgotten_runs_leave_nothing(node: ContainerNode, docker_engine: DockerEngine) -> None:
    spec = shell("a", "echo x; sleep 0.3")
    await node.runner.launch(spec)
    await node.running(spec)
    await node.runner.forget(spec.id)  # alive or not recorded: it stays
    await node.end(spec)
    assert node.log(spec) == b"x\n" and names(docker_engine) == {str(spec.id)}
    await node.runner.forget(spec.id)
    await until(lambda: not list(Path(node.runner._runs_folder).iterdir()), "its folder's removal")
    assert names(docker_engine) == set()


async def test_removed_by_a_stranger_it_is_lost(node: ContainerNode, docker_engine: DockerEngine) -> None:
    spec = shell("a", "sleep 600")
    await node.runner.launch(spec)
    await node.running(spec)
    docker_engine.docker("rm", "--force", str(spec.id))
    report = await node.end(spec)
    assert report.state is RunState.LOST
    assert report.exit is not None and report.exit.fault is Fault.VANISHED


# --- killed owners and engines -----------------------------------------------------------------------------


class Owner:
    """A process with a runner of its own that launched `specs`, to be killed."""

    def __init__(self, folder: Path, engine: DockerEngine, specs: list[RunSpec]) -> None:
        given = json.dumps([spec.to_dict() for spec in specs])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.container_node", str(folder), engine.url, given],
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}/src:{ROOT}"},
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"launched\n"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def home(tmp_path: Path, docker_engine: DockerEngine) -> Iterator[Path]:
    """A node's folder whose containers are gone afterwards."""
    yield tmp_path / "node"
    if left := names(docker_engine):
        docker_engine.docker("rm", "--force", *left)


async def _until_said(home: Path, spec: RunSpec, what: bytes) -> None:
    path = home / "runs" / str(spec.id) / "stdout"
    await until(lambda: path.exists() and what in path.read_bytes(), f"{what!r} of {spec.id}")


async def test_a_run_outlives_its_owner_and_no_byte_is_lost_or_doubled(
    home: Path, docker_engine: DockerEngine
) -> None:
    script = "n=0; while [ $n -lt 3000 ]; do echo line $n; echo err $n >&2; n=$((n+1)); done; exit 5"
    spec = shell("a", script)
    for progress in (b"line 1\n", b"line 500\n", b"line 1500\n"):
        owner = Owner(home, docker_engine, [spec])
        try:
            await _until_said(home, spec, progress)
        finally:
            owner.kill()
    node = ContainerNode(home, docker_engine.url)
    (found,) = await node.adopt()
    assert found.state in (RunState.RUNNING, RunState.EXITED)
    await node.runner.launch(spec)
    report = await node.end(spec)
    assert report.exit == Exit(5)
    assert node.log(spec) == b"".join(b"line %d\n" % n for n in range(3000))
    assert node.log(spec, Stream.STDERR) == b"".join(b"err %d\n" % n for n in range(3000))
    await node.runner.close(leave_running=True)


async def test_what_ended_without_an_owner_is_known_to_the_next(
    home: Path, docker_engine: DockerEngine
) -> None:
    spec = shell("a", "echo on; sleep 0.3; echo alone; exit 3")
    well = shell("b", "sleep 0.3; echo 7 > $TRAINMASTER_OUTPUT")
    owner = Owner(home, docker_engine, [spec, well])
    try:
        await _until_said(home, spec, b"on\n")
    finally:
        owner.kill()
    docker_engine.docker("wait", str(spec.id), str(well.id))
    node = ContainerNode(home, docker_engine.url)
    await node.adopt()
    assert (await node.end(spec)).exit == Exit(3)
    assert (await node.end(well)).exit == Exit(0, result="7")
    assert node.log(spec) == b"on\nalone\n"
    await node.runner.close(leave_running=True)
    again = ContainerNode(home, docker_engine.url)
    known = {report.id: report.exit for report in await again.adopt()}  # by now from the folder alone
    assert known == {spec.id: Exit(3), well.id: Exit(0, result="7")}
    await again.runner.close(leave_running=True)


async def test_killed_again_and_again_every_run_happens_once(
    home: Path, tmp_path: Path, docker_engine: DockerEngine
) -> None:
    (tmp_path / "data").mkdir()
    count = 12
    ran = tmp_path / "data" / "ran"
    specs = [
        shell(f"r{n}", f"echo {n} >> /data/ran; echo {n}", volumes=(f"{tmp_path}/data:/data",))
        for n in range(count)
    ]

    def lines() -> list[str]:
        return ran.read_text().split() if ran.exists() else []

    node = ContainerNode(home, docker_engine.url, allowed_roots=[str(tmp_path)])
    for round_ in range(3):
        killed = ContainerNode(home, docker_engine.url, allowed_roots=[str(tmp_path)])
        await killed.adopt()
        for spec in specs:
            await killed.runner.launch(spec)
        await until(lambda: len(lines()) >= count * round_ // 4, "some progress")  # noqa: B023
        await killed.runner.close(leave_running=True)  # wherever each of them is
    await node.adopt()
    for spec in specs:
        await node.runner.launch(spec)
    for spec in specs:
        assert (await node.end(spec)).exit == Exit(0)
        assert node.log(spec) == f"{spec.id.task.removeprefix('t-r')}\n".encode()
    assert sorted(map(int, lines())) == list(range(count))
    await node.runner.close(leave_running=True)


async def test_stop_is_remembered_by_the_next_owner(home: Path, docker_engine: DockerEngine) -> None:
    spec = shell("a", "trap '' TERM; echo on; while :; do sleep 0.01; done")
    first = ContainerNode(home, docker_engine.url)
    await first.runner.launch(spec)
    await until(lambda: first.log(spec) == b"on\n", "the first line")
    await first.runner.stop(spec.id, 0.3)
    await first.runner.close(leave_running=True)
    assert first.reports[spec.id].exit is None
    node = ContainerNode(home, docker_engine.url)
    await node.adopt()
    assert (await node.end(spec)).exit == Exit(137, Fault.STOPPED)
    await node.runner.close(leave_running=True)


async def test_a_container_that_lost_its_folder_is_found_by_its_label(
    home: Path, docker_engine: DockerEngine
) -> None:
    spec = shell("a", "echo on; sleep 600")
    first = ContainerNode(home, docker_engine.url)
    await first.runner.launch(spec)
    await first.running(spec)
    await first.runner.close(leave_running=True)
    shutil.rmtree(home / "runs" / str(spec.id))
    node = ContainerNode(home, docker_engine.url)
    (found,) = await node.adopt()
    assert found.id == spec.id
    await until(lambda: node.log(spec) == b"on\n", "its log")
    await node.runner.stop(spec.id, 0.0)
    assert (await node.end(spec)).exit == Exit(137, Fault.STOPPED)
    await node.runner.close(leave_running=True)


async def test_an_engine_that_dies_and_returns_harms_no_runner(
    node: ContainerNode, docker_engine: DockerEngine
) -> None:
    spec = shell("a", "echo on; sleep 600")
    await node.runner.launch(spec)
    await until(lambda: node.log(spec) == b"on\n", "the first line")
    await asyncio.to_thread(docker_engine.stop)
    await asyncio.to_thread(docker_engine.start)
    report = await node.end(spec)
    assert report.exit is not None and report.exit.code not in (None, 0)
    assert report.state is RunState.LOST, "the task is not to blame, and runs again"
    assert node.log(spec) == b"on\n"
    after: Any = await node.run(shell("b", "echo fine"))
    assert after.exit == Exit(0)


async def test_an_engine_that_is_killed_loses_what_it_ran_and_is_waited_for(
    node: ContainerNode, docker_engine: DockerEngine
) -> None:
    spec, short = shell("a", "echo on; sleep 600"), shell("short", "echo on; sleep 2; exit 0")
    for one in (spec, short):
        await node.runner.launch(one)
    await until(lambda: node.log(spec) == node.log(short) == b"on\n", "the first lines")
    assert docker_engine.process is not None
    docker_engine.process.kill()
    await asyncio.to_thread(docker_engine.process.wait)
    docker_engine.process = None
    queued = shell("queued", "echo fine")
    await node.runner.launch(queued)
    await asyncio.sleep(4)  # an engine that never answered would be given up by now
    await asyncio.to_thread(docker_engine.start)
    assert (await node.end(queued)).exit == Exit(0)
    assert (await node.end(short)).exit == Exit(0), "it ended well, whoever saw it"
    report = await node.end(spec)
    assert report.state is RunState.LOST and report.exit is not None
    assert "engine ended it" in report.exit.detail


async def test_a_container_that_dies_of_a_signal_of_its_own_has_failed(node: ContainerNode) -> None:
    report = await node.run(shell("a", "kill -9 $$"))
    assert (report.state, report.exit) == (RunState.EXITED, Exit(137))


async def test_what_died_with_the_machine_is_lost(home: Path, docker_engine: DockerEngine) -> None:
    spec = shell("a", "echo on; sleep 600")
    owner = Owner(home, docker_engine, [spec])
    try:
        await _until_said(home, spec, b"on\n")
    finally:
        owner.kill()
    life = home / "runs" / str(spec.id) / "life"
    life.write_text(life.read_text().replace(boot_id(), "another"))
    docker_engine.docker("kill", str(spec.id))
    node = ContainerNode(home, docker_engine.url)
    await node.adopt()
    assert (await node.end(spec)).state is RunState.LOST
    await node.runner.close(leave_running=True)


async def test_an_engine_that_comes_late_is_waited_for(
    node: ContainerNode, docker_engine: DockerEngine, tmp_path: Path
) -> None:
    socket_path = tmp_path / "s"
    late = ContainerNode(tmp_path / "late", f"unix://{socket_path}", engine_wait_s=20.0)
    spec = shell("late", "echo fine")
    await late.runner.launch(spec)
    await asyncio.sleep(0)
    socket_path.symlink_to(docker_engine.url.removeprefix("unix://"))
    assert (await late.end(spec)).exit == Exit(0)
    await late.runner.close(leave_running=False)
