"""What Docker is asked for, and what its answers mean."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainmaster.domain.ids import NodeId, RunId, TaskId
from trainmaster.domain.run import Fault, RunSpec
from trainmaster.domain.units import Resources
from trainmaster.runners.container_engine import split_frames
from trainmaster.runners.container_log import Spool
from trainmaster.runners.container_spec import (
    Refused,
    Volume,
    create_body,
    directory_on_host,
    epoch,
    init_refused,
    owned_run,
    parse_volume,
    start_refused,
)

RUN = RunId(TaskId("t-a"), 2, 1)


def body(**more: object) -> dict[str, object]:
    spec = RunSpec(RUN, "container", ("train", "--x"), image="i:1", **more)  # type: ignore[arg-type]
    return create_body(
        spec, NodeId("n1"), "owner", [Volume("/a:b", "/data", True)], "/runs/p", "/saved/t-a", cpus=[0, 2]
    )


def host(**more: object) -> dict[str, object]:
    value = body(**more)["HostConfig"]
    assert isinstance(value, dict)
    return value


def test_nothing_is_privileged_and_nothing_is_removed_behind_our_back() -> None:
    config = host()
    assert config["Privileged"] is False and config["AutoRemove"] is False
    assert config["CapDrop"] == ["ALL"] and config["SecurityOpt"] == ["no-new-privileges"]
    assert config["NetworkMode"] == "none" and config["PidsLimit"] == 4096
    assert config["RestartPolicy"] == {"Name": "no"}
    assert not {"CapAdd", "Devices", "DeviceRequests", "PidMode", "IpcMode", "UsernsMode"} & set(config)


def test_resources_become_limits() -> None:
    config = host(resources=Resources(cpu_m=1500, memory=2**30), devices=(1, 3))
    assert config["NanoCpus"] == 1_500_000_000
    assert config["Memory"] == config["MemorySwap"] == 2**30
    assert config["CpusetCpus"] == "0,2"
    assert config["DeviceRequests"] == [
        {"Driver": "", "Count": 0, "DeviceIDs": ["1", "3"], "Capabilities": [["gpu"]]}
    ]


def test_without_limits_none_are_set() -> None:
    assert not {"NanoCpus", "Memory", "MemorySwap", "DeviceRequests"} & set(host())


def test_mounts_take_paths_with_colons_and_the_files_it_writes_to() -> None:
    data, progress, output, plan, saved = host()["Mounts"]  # type: ignore[misc]
    assert data == {"Type": "bind", "Source": "/a:b", "Target": "/data", "ReadOnly": True}  # type: ignore[has-type]
    assert progress["Source"] == "/runs/p/progress.jsonl"  # type: ignore[has-type]
    assert progress["ReadOnly"] is output["ReadOnly"] is False  # type: ignore[has-type]
    assert output["Source"] == "/runs/p/output.json"  # type: ignore[has-type]
    assert plan["Source"] == "/runs/p/group" and plan["ReadOnly"] is True  # type: ignore[has-type]
    assert saved["Source"] == "/saved/t-a" and saved["ReadOnly"] is False  # type: ignore[has-type]


def test_identity_is_in_labels_and_environment_and_the_task_wins() -> None:
    made = body(environment=(("TRAINMASTER_RANK", "9"), ("A", "b=c")), world_size=4)
    labels = made["Labels"]
    assert isinstance(labels, dict) and owned_run(labels) == RUN
    assert labels["trainmaster.owner"] == "owner"
    environment = made["Env"]
    assert isinstance(environment, list)
    assert {"TRAINMASTER_TASK=t-a", "TRAINMASTER_ATTEMPT=2", "TRAINMASTER_WORLD_SIZE=4"} <= set(environment)
    assert "TRAINMASTER_RANK=9" in environment and "TRAINMASTER_RANK=1" not in environment
    assert "A=b=c" in environment


@pytest.mark.parametrize("more", [{"network": "container:x"}, {"resources": Resources(memory=1000)}])
def test_what_docker_does_not_know_is_refused(more: dict[str, object]) -> None:
    with pytest.raises(Refused) as refused:
        body(**more)
    assert refused.value.fault is Fault.START_FAILED


@pytest.mark.parametrize("labels", [{}, {"trainmaster.run": "x"}])
def test_labels_of_strangers_name_no_run(labels: dict[str, str]) -> None:
    assert owned_run(labels) is None


# --- volumes -----------------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root" / "sub").mkdir(parents=True)
    (tmp_path / "root-not").mkdir()
    (tmp_path / "root" / "out").symlink_to(tmp_path / "root-not")
    (tmp_path / "root" / "in").symlink_to(tmp_path / "root" / "sub")
    return tmp_path / "root"


def test_volumes_below_a_root(root: Path) -> None:
    sub = str(root / "sub")
    assert parse_volume(f"{sub}:/data", [str(root)]) == Volume(sub, "/data", False)
    assert parse_volume(f"{sub}:/data/:ro", [str(root)]) == Volume(sub, "/data", True)
    assert parse_volume(f"{root}/in:/data:rw", [str(root)]) == Volume(sub, "/data", False)


@pytest.mark.parametrize(
    "volume",
    ["{root}/out:/x", "{root}-not:/x", "{root}/../root-not:/x", "{root}/missing:/x", "sub:/x", "{root}:x",
     "{root}:/", "{root}://", "{root}:/run", "{root}:/x:rx", "{root}", "{root}:/x:ro:ro", ":/x", "{root}:",
     "{root}:/x/../run/trainmaster"],
)  # fmt: skip
def test_all_other_volumes_are_refused(root: Path, volume: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_volume(volume.format(root=root), [str(root)])
    assert refused.value.fault is Fault.VOLUME_REFUSED


def test_without_roots_there_are_no_volumes(root: Path) -> None:
    with pytest.raises(Refused, match="none"):
        parse_volume(f"{root}:/x", [])


def test_the_nearest_volume_holds_the_directory() -> None:
    volumes = [Volume("/h/a", "/data", False), Volume("/h/b", "/data/deep", False)]
    assert directory_on_host("/data/deep/x", volumes) == "/h/b/x"
    assert directory_on_host("/data/x", volumes) == "/h/a/x"
    assert directory_on_host("/data", volumes) == "/h/a"
    assert directory_on_host("/database", volumes) is None


# --- errors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        ('unable to start: exec: "/x": stat /x: no such file or directory: unknown', Fault.COMMAND_NOT_FOUND),
        ('exec: "x": executable file not found in $PATH', Fault.COMMAND_NOT_FOUND),
        ('exec: "/tmp": permission denied', Fault.COMMAND_NOT_FOUND),
        ("No command specified", Fault.COMMAND_NOT_FOUND),
        ("Cannot mkdir: /bin/sh is not a directory", Fault.DIRECTORY_MISSING),
        ("invalid mount config: bind source path does not exist: /x", Fault.VOLUME_REFUSED),
        ("No such image: x:latest", Fault.IMAGE_NOT_FOUND),
        ("could not select device driver with capabilities: [[gpu]]", Fault.START_FAILED),
        ("something new", Fault.START_FAILED),
    ],
)
def test_errors_of_the_engine_are_named(message: str, fault: Fault) -> None:
    refused = start_refused(message)
    assert refused.fault is fault and message[:10] in refused.detail


def test_the_last_words_of_dockers_init() -> None:
    said = b"[FATAL tini (7)] exec /bin/nope failed: No such file or directory\n"
    refused = init_refused(127, said)
    assert refused is not None and refused.fault is Fault.COMMAND_NOT_FOUND and "/bin/nope" in refused.detail
    assert init_refused(126, said.replace(b"No such file or directory", b"Permission denied")) is not None
    assert init_refused(127, b"sh: nope: not found\n") is None  # the task's own words
    assert init_refused(127, said + b"more\n") is None
    assert init_refused(1, said) is None


def test_dockers_times() -> None:
    expected = datetime(2026, 11, 21, 10, 11, 4, 165217, tzinfo=UTC).timestamp()
    assert epoch("2026-11-21T10:11:04.165217571Z") == pytest.approx(expected, abs=1e-6)
    assert epoch("2026-11-21T11:11:04+01:00") == pytest.approx(expected - 0.165217, abs=1e-6)
    assert epoch("0001-01-01T00:00:00Z") is None
    assert epoch("") is None


# --- logs --------------------------------------------------------------------------------------------------

frames = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=20)


def encoded(parts: list[tuple[int, bytes]]) -> bytes:
    return b"".join(bytes([s, 0, 0, 0]) + len(data).to_bytes(4, "big") + data for s, data in parts)


@given(frames, st.lists(st.integers(1, 50), max_size=30))
def test_frames_survive_any_cutting(parts: list[tuple[int, bytes]], cuts: list[int]) -> None:
    data, rest, got = encoded(parts), b"", {1: b"", 2: b""}
    while data:
        size = cuts.pop() if cuts else len(data)
        whole, rest = split_frames(rest + data[:size])
        data = data[size:]
        for stream, content in whole:
            got[stream] += content
    assert rest == b""
    for stream in (1, 2):
        assert got[stream] == b"".join(content for s, content in parts if s == stream)


@given(parts=frames, kills=st.lists(st.integers(0, 20), max_size=4))
def test_however_often_it_is_begun_anew_every_byte_is_spooled_once(
    parts: list[tuple[int, bytes]], kills: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("run")

    def spool(upto: int) -> None:
        log = Spool(str(folder))
        taking = log.take(parts[:upto])
        with pytest.raises(StopIteration):
            taking.send(None)
        log.close()

    for kill in [*kills, len(parts)]:
        spool(kill)
    for stream, name in ((1, "stdout"), (2, "stderr")):
        expected = b"".join(content for s, content in parts if s == stream)
        assert (folder / name).read_bytes() == expected
