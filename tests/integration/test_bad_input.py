"""Bad input gets a clear answer with a remedy, and nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.live import Live, live, wait_until
from trainmaster.bootstrap.config import BadConfig, load_config
from trainmaster.bootstrap.lock import AlreadyRunning, FolderLock


@pytest.fixture(scope="module")
def client(shared_service: Live) -> Iterator[httpx2.Client]:
    with shared_service.client() as client:
        yield client


def outcome(client: httpx2.Client, task: str) -> dict[str, Any]:
    """A task once it has ended."""

    def ended() -> dict[str, Any] | None:
        told: dict[str, Any] = client.get(f"/v1/tasks/{task}").json()
        return told if told["ended_at"] is not None else None

    return wait_until(ended, f"{task} ends")


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"command": ["true"], "cpus": -1}, "invalid-request", "cpus"),
        ({"command": ["true"], "gpus": 9}, "unplaceable", "9 GPUs asked for"),
        ({"command": ["true"], "cpus": 3}, "unplaceable", "the largest node has 1"),
        ({"command": ["true"], "memory": "900TB"}, "unplaceable", "memory"),
        ({"command": ["true"], "memory": "much"}, "invalid-task", "memory"),
        ({"command": ["true"], "workers": "4..2"}, "invalid-task", "minimum 4 is above the maximum 2"),
        ({"command": ["true"], "workers": "many"}, "invalid-task", "workers"),
        ({"command": ["true"], "environment": {"BIG": "x" * 2_000_000}}, "invalid-task", "environment"),
        ({"command": ["true"], "environment": {"A=B": "x"}}, "invalid-task", "A=B"),
        ({"command": []}, "invalid-task", "nothing to run"),
        ({"command": ["a\0b"]}, "invalid-task", "NUL"),
        ({"command": ["true"], "prioritee": 1}, "invalid-request", "did you mean 'priority'"),
        (
            {"retry": {"atempts": 2}, "prioritee": 1, "cpus": -1},
            "invalid-request",
            "retry.atempts: there is no",
        ),
        ({"image": "x", "volumes": ["/etc:/etc"]}, "invalid-task", "outside the folders"),
        ({"image": "x", "volumes": ["/srv/../etc:/x"]}, "invalid-task", "without .."),
        ({"function": "not a function"}, "invalid-task", "module:function"),
        ({"command": ["true"], "after": ["t-nothere000"]}, "unknown-task", "t-nothere000"),
        ({"command": ["true"], "timeout": "soon"}, "invalid-task", "timeout"),
        ({"command": ["true"], "timeout": 0}, "invalid-task", "timeout"),
    ],
)
def test_a_task_that_cannot_be_right_is_refused_with_a_remedy(
    client: httpx2.Client, body: dict[str, Any], code: str, words: str
) -> None:
    answer = client.post("/v1/tasks", json=body)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (problem["code"], answer.status_code // 100) == (code, 4), problem
    assert words in problem["detail"] and problem["remedy"]


def test_broken_json_and_unknown_paths(client: httpx2.Client) -> None:
    broken = client.post("/v1/tasks", content=b"{", headers={"Content-Type": "application/json"})
    assert broken.status_code == 422 and broken.json()["code"] == "invalid-request"
    assert client.get("/v1/nothing").json()["code"] == "not-found"
    for path in ("/v1/tasks/t-zzzz", "/v1/tasks/t-zzzz/logs", "/v1/tasks/t-zzzz/explain"):
        assert client.get(path).json()["code"] == "unknown-task"
    assert client.get("/v1/nodes/nowhere").json()["code"] == "unknown-node"
    assert client.put("/v1/profile", json={"name": "best"}).json()["code"] == "unknown-profile"


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"command": ["no-such-program-here"]}, 127, "command not found"),
        ({"command": ["true"], "directory": "/no/such/folder"}, None, "directory missing"),
        ({"command": ["sh", "-c", "exit 7"]}, 7, "exited with 7"),
        ({"command": ["sh", "-c", "kill -9 $$"]}, 137, "killed by signal 9"),
    ],
)
def test_a_task_that_fails_says_how(
    client: httpx2.Client, body: dict[str, Any], code: int | None, words: str
) -> None:
    task = client.post("/v1/tasks", json={"cpus": 0.1, **body}).json()["id"]
    told = outcome(client, task)
    assert told["state"] == "FAILED" and words in told["reason"], told["reason"]
    assert code is None or told["exit_code"] == code


def test_an_idempotency_key_makes_one_task_and_refuses_another_body(client: httpx2.Client) -> None:
    headers = {"Idempotency-Key": "once"}
    first = client.post("/v1/tasks", json={"command": ["true"], "cpus": 0.1}, headers=headers)
    again = client.post("/v1/tasks", json={"command": ["true"], "cpus": 0.1}, headers=headers)
    other = client.post("/v1/tasks", json={"command": ["false"], "cpus": 0.1}, headers=headers)
    assert first.status_code == again.status_code == 201
    assert first.json()["id"] == again.json()["id"]
    assert other.status_code == 409 and other.json()["code"] == "idempotency-conflict"


def test_tokens_and_roles(shared_service: Live, client: httpx2.Client) -> None:
    with httpx2.Client(base_url=shared_service.url) as stranger:
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            answer = stranger.get("/v1/tasks", headers=headers)
            assert answer.status_code == 401 and answer.json()["remedy"]
        assert stranger.get("/v1/health").status_code == 200
    made = client.post("/v1/tokens", json={"user": "vera", "role": "viewer"}).json()
    viewer = {"Authorization": f"Bearer {made['token']}"}
    sam = client.post("/v1/tokens", json={"user": "sam", "role": "submitter"}).json()
    submitter = {"Authorization": f"Bearer {sam['token']}"}
    mine = client.post("/v1/tasks", json={"command": ["sleep", "30"], "cpus": 0.1}).json()["id"]
    with httpx2.Client(base_url=shared_service.url) as other:
        assert other.get("/v1/tasks", headers=viewer).status_code == 200
        refused = other.post("/v1/tasks", json={"command": ["true"]}, headers=viewer)
        assert refused.status_code == 403 and "submitter" in refused.json()["detail"]
        assert other.post(f"/v1/tasks/{mine}/cancel", headers=submitter).status_code == 403
        assert other.get("/v1/tokens", headers=submitter).status_code == 403
        assert client.delete(f"/v1/tokens/{made['id']}").status_code == 204
        assert other.get("/v1/tasks", headers=viewer).status_code == 401
    assert client.post(f"/v1/tasks/{mine}/cancel").status_code == 200
    assert outcome(client, mine)["state"] == "CANCELLED"
    assert client.post(f"/v1/tasks/{mine}/cancel").json()["code"] == "task-ended"


def test_a_second_service_on_the_same_folder_is_refused(shared_service: Live) -> None:
    with pytest.raises(AlreadyRunning) as refused:
        FolderLock(shared_service.data).take("now")
    assert refused.value.fields["pid"] == shared_service.pid and "--data" in refused.value.remedy


def test_a_corrupt_configuration_names_file_field_and_remedy(tmp_path: Path) -> None:
    file = tmp_path / "trainmaster.toml"
    for text, words in (
        ("port = ", "not valid TOML"),
        ("prot = 7070", "there is no setting 'prot'"),
        ('port = "many"', "port"),
        ('keep_logs = "long"', "keep_logs"),
    ):
        file.write_text(text)
        with pytest.raises(BadConfig, match=words) as refused:
            load_config(file)
        assert refused.value.remedy
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(BadConfig, match="TOML"):
        load_config(file)


@pytest.mark.needs("mount")
def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    """The data folder's file system fills up: tasks are refused with the reason, none is lost."""
    data = tmp_path / "data"
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(data)], check=True)
    try:
        for service in live(data, nodes=1):
            with service.client() as client:
                kept = client.post("/v1/tasks", json={"command": ["true"], "cpus": 0.1}).json()["id"]
                assert outcome(client, kept)["state"] == "SUCCEEDED"
                filler = data / "filler"
                with filler.open("wb", buffering=0) as file, pytest.raises(OSError):
                    while True:
                        file.write(bytes(65536))
                refused = wait_until(
                    lambda: _refused(client), "a submission is refused as the disk is full", 60
                )
                assert refused["code"] == "disk-full" and refused["remedy"]
                assert client.get("/v1/health").status_code == 503
                assert client.get(f"/v1/tasks/{kept}").json()["state"] == "SUCCEEDED", "reading goes on"
                filler.unlink()
                wait_until(lambda: client.get("/v1/health").status_code == 200, "it recovers by itself", 30)
                later = client.post("/v1/tasks", json={"command": ["true"], "cpus": 0.1}).json()["id"]
                assert outcome(client, later)["state"] == "SUCCEEDED"
    finally:
        subprocess.run(["umount", "-l", str(data)], check=True)


def _refused(client: httpx2.Client) -> dict[str, Any] | None:
    answer = client.post(
        "/v1/tasks", json={"command": ["true"], "cpus": 0.1, "environment": {"A": "x" * 50_000}}
    )
    return answer.json() if answer.status_code == 507 else None


@pytest.mark.needs("postgresql")
def test_a_database_that_goes_away_and_returns_loses_nothing(tmp_path: Path, postgresql_server: Any) -> None:
    """PostgreSQL is stopped for 30 s under running tasks: their ends are recorded once it is back."""
    for service in live(tmp_path / "data", nodes=1, database=postgresql_server.url):
        with service.client(timeout=40) as client:
            before = [
                client.post("/v1/tasks", json={"command": ["sleep", "1"], "cpus": 0.1}).json()["id"]
                for _ in range(3)
            ]
            postgresql_server.stop()
            gone = time.monotonic()
            down = wait_until(
                lambda: (
                    (a := client.post("/v1/tasks", json={"command": ["true"], "cpus": 0.1})).status_code
                    == 503
                    and a.json()
                ),
                "a submission is refused",
                60,
            )
            assert down["code"] == "store-unavailable" and "idempotency key" in down["remedy"]
            time.sleep(max(0.0, gone + 30 - time.monotonic()))
            postgresql_server.start()
            wait_until(lambda: client.get("/v1/health").status_code == 200, "it recovers by itself", 60)
            for task in before:
                assert outcome(client, task)["state"] == "SUCCEEDED"
            later = client.post("/v1/tasks", json={"command": ["true"], "cpus": 0.1}).json()["id"]
            assert outcome(client, later)["state"] == "SUCCEEDED"


def test_hostile_logs_harm_nothing(client: httpx2.Client) -> None:
    """A 10 MB line, binary, invalid UTF-8 and ANSI come through exactly."""
    script = (
        "import os; w = lambda b: os.write(1, b)\n"
        "w(b'x' * 10_000_000 + b'\\n'); w(bytes(range(256)) + b'\\n')\n"
        "w(b'\\xff\\xfe bad \\xc3\\n'); w('\\x1b[31mred\\x1b[0m ünïcode\\n'.encode())"
    )
    task = client.post("/v1/tasks", json={"command": [sys.executable, "-c", script], "cpus": 0.1}).json()[
        "id"
    ]
    assert outcome(client, task)["state"] == "SUCCEEDED"
    expected = b"x" * 10_000_000 + b"\n" + bytes(range(256)) + b"\n\xff\xfe bad \xc3\n"
    expected += "\x1b[31mred\x1b[0m ünïcode\n".encode()
    wait_until(lambda: client.get(f"/v1/tasks/{task}/logs").json()["complete"], "the log is whole")
    assert client.get(f"/v1/tasks/{task}/logs/download").content == expected
    lines = client.get(f"/v1/tasks/{task}/logs", params={"text": "ünïcode"}).json()["lines"]
    assert [line["text"] for line in lines] == ["\x1b[31mred\x1b[0m ünïcode"]


def test_settings_come_from_the_file_the_environment_and_flags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "trainmaster.toml"
    file.write_text('port = 1\nnodes = 2\nprofile = "dtes"\n')
    monkeypatch.setenv("TRAINMASTER_PORT", "3")
    config = load_config(file, profile="default")
    assert (config.port, config.nodes, config.profile) == (3, 2, "default")
    assert json.loads(os.environ["TRAINMASTER_PORT"]) == 3
