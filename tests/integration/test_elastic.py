"""Elastic training against a running service: workers come, go and die, and nothing is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.live import SOURCE, Live, live, wait_until

SCRIPT = Path(__file__).with_name("elastic_script.py")
DDP_SCRIPT = Path(__file__).with_name("ddp_script.py")
SAMPLES, BATCH = 512, 64
pytestmark = pytest.mark.timeout(180)


def start(client: Any, folder: Path, epochs: int, step_s: float = 0.02, **fields: Any) -> str:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, str(SCRIPT), str(folder), str(epochs), str(step_s)]
    body = {"command": command, "cpus": 0.1, "environment": {"PYTHONPATH": str(SOURCE)}, **fields}
    answer = client.post("/v1/tasks", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def task(client: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/v1/tasks/{name}").json()
    return found


def resize(client: Any, name: str, workers: int) -> None:
    assert client.post(f"/v1/tasks/{name}/resize", json={"workers": workers}).status_code == 200


def trains_with(client: Any, name: str, workers: int) -> None:
    def so() -> bool:
        now = task(client, name)
        assert now["state"] not in ("FAILED", "SUCCEEDED", "CANCELLED"), now["reason"]
        group = now["group"]
        return bool(group) and group["settled"] and len(group["members"]) == workers

    wait_until(so, f"{name} trains with {workers} workers", within_s=60)


def ends_well(client: Any, name: str) -> dict[str, Any]:
    ended = wait_until(lambda: (t := task(client, name))["ended_at"] and t, "it ends", within_s=90)
    assert ended["state"] == "SUCCEEDED", ended["reason"]
    return ended


def kinds(client: Any, name: str) -> list[str]:
    return [event["kind"] for event in client.get(f"/v1/tasks/{name}/events").json()["events"]]


def seen(folder: Path) -> Counter[tuple[str, str]]:
    """How often each (epoch, sample) was trained on."""
    count: Counter[tuple[str, str]] = Counter()
    for file in folder.glob("seen.*"):
        for line in file.read_text().splitlines():
            epoch, *samples = line.split()
            count.update((epoch, sample) for sample in samples)
    return count


def enough(client: Any, name: str, folder: Path) -> tuple[dict[str, Any], int]:
    """Let a training end now. Returns the task, and how many epochs it has trained."""
    (folder / "enough").touch()
    ended = ends_well(client, name)
    return ended, int((folder / "epochs").read_text())


def alone(folder: Path, epochs: int) -> dict[str, torch.Tensor]:
    """What the same script learns without a service."""
    folder.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TRAINMASTER_")}
    environment["PYTHONPATH"] = str(SOURCE)
    subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(epochs), "0"], env=environment, check=True, timeout=60
    )
    return torch.load(folder / "model.pt")


@pytest.fixture
def service(tmp_path: Path) -> Any:
    yield from live(tmp_path / "data", nodes=2, cores=0.4)  # room for four workers


def test_workers_come_go_and_die_and_the_same_is_learnt(service: Live, tmp_path: Path) -> None:
    with service.client() as client:
        name = start(client, tmp_path / "group", 10_000, workers="1..3")
        trains_with(client, name, 3)
        resize(client, name, 1)
        trains_with(client, name, 1)
        resize(client, name, 2)
        trains_with(client, name, 2)
        leader = task(client, name)["group"]["members"][0]
        runs = [run for run in client.get(f"/v1/tasks/{name}/runs").json() if run["rank"] == leader]
        os.kill(pid_of(service, runs[0]["node"], runs[0]["id"]), signal.SIGKILL)
        wait_until(lambda: leader not in task(client, name)["group"]["members"], "the others go on")
        ended, epochs = enough(client, name, tmp_path / "group")
        assert (ended["attempt"], ended["failures"]) == (1, 0)
        told = kinds(client, name)
        assert told.count("task-resizing") >= 2 and "worker-lost" in told
    want = alone(tmp_path / "alone", epochs)
    got = torch.load(tmp_path / "group" / "model.pt")
    assert all(torch.allclose(got[key], want[key], rtol=0, atol=1e-12) for key in want)
    missing = set(seen(tmp_path / "alone")) - set(seen(tmp_path / "group"))
    assert len(missing) <= BATCH, "at most what the killed one had done and not yet written down"


def test_an_arrival_takes_workers_from_a_running_task_and_gives_them_back(
    service: Live, tmp_path: Path
) -> None:
    with service.client() as client:
        first = start(client, tmp_path / "first", 2000, workers="1..4")
        trains_with(client, first, 4)
        second = start(client, tmp_path / "second", 12, workers="1..4")
        trains_with(client, first, 2)
        told = client.get(f"/v1/tasks/{first}/events").json()["events"]
        assert any(f"in favour of {second}" in event["reason"] for event in told)
        ends_well(client, second)
        trains_with(client, first, 4)
        client.post(f"/v1/tasks/{first}/cancel")
        wait_until(lambda: task(client, first)["state"] == "CANCELLED", "it is cancelled")


def test_a_preempted_task_resumes_where_it_was_and_the_service_may_die_meanwhile(
    service: Live, tmp_path: Path
) -> None:
    with service.client() as client:
        name = start(client, tmp_path / "long", 20, workers="2..2")
        trains_with(client, name, 2)
        wait_until(lambda: (task(client, name)["progress"] or {}).get("step", 0) > 16, "it is under way")
        urgent = client.post(
            "/v1/tasks", json={"command": ["sleep", "0.2"], "cpus": 0.2, "urgency": "highest"}
        ).json()["id"]
        more = client.post(
            "/v1/tasks", json={"command": ["sleep", "0.2"], "cpus": 0.2, "urgency": "highest"}
        ).json()["id"]
        wait_until(lambda: task(client, name)["interruptions"], "it yields")
    service.kill()
    service.start()
    with service.client() as client:
        for other in (urgent, more):
            ends_well(client, other)
        ended = ends_well(client, name)
        assert (ended["attempt"], ended["failures"]) == (2, 0)
    assert set(seen(tmp_path / "long").values()) == {1}, "no sample twice in an epoch, none left out"
    assert len(seen(tmp_path / "long")) == 20 * SAMPLES


def test_an_unmodified_ddp_script_survives_resizes_and_a_kill_by_restarts(
    service: Live, tmp_path: Path
) -> None:
    folder = tmp_path / "ddp"
    folder.mkdir()

    def epochs() -> list[tuple[int, int]]:
        file = folder / "epochs"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(int(line.split()[0]), int(line.split()[1])) for line in lines]

    def trains(world: int) -> None:
        wait_until(lambda: epochs() and epochs()[-1][1] == world, f"{world} workers train", within_s=60)

    with service.client() as client:
        body = {
            "command": [sys.executable, str(DDP_SCRIPT), str(folder), "60"],
            "cpus": 0.1,
            "workers": "1..3",
            "elasticity": "restart",
            "retry": {"attempts": 3, "backoff": 0},
            "grace": 1,
        }
        name = client.post("/v1/tasks", json=body).json()["id"]
        trains(3)
        for world in (1, 2):
            resize(client, name, world)
            trains(world)
        run = next(r for r in client.get(f"/v1/tasks/{name}/runs").json() if r["state"] == "RUNNING")
        os.kill(pid_of(service, run["node"], run["id"]), signal.SIGKILL)
        ended = ends_well(client, name)
        assert (ended["attempt"], ended["failures"]) == (4, 1)
    done = [epoch for epoch, _ in epochs()]
    assert sorted(set(done)) == list(range(60)) and len(done) <= 60 + 3, "at most one epoch redone each time"


def pid_of(service: Live, node: str, run: str) -> int:
    """The worker's process, from what its shim wrote down."""
    import json

    for line in (service.data / "nodes" / node / "runs" / run / "life").read_text().splitlines():
        if "started" in (found := json.loads(line)):
            return int(found["started"]["child"])
    raise AssertionError(f"{run} has not started")
