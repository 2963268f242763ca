"""Faults of a group under a running service, one after another: each is named, and the same is learnt."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.integration.test_elastic import (
    BATCH,
    SAMPLES,
    alone,
    enough,
    pid_of,
    resize,
    seen,
    start,
    task,
    trains_with,
)
from tests.live import SOURCE, Live, live, wait_until

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def service(tmp_path: Path) -> Any:
    yield from live(tmp_path / "data", nodes=2, cores=0.4)


def lost(client: Any, name: str) -> list[str]:
    events = client.get(f"/v1/tasks/{name}/events").json()["events"]
    return [event["reason"] for event in events if event["kind"] == "worker-lost"]


def process(service: Live, client: Any, name: str, rank: int) -> int:
    run = next(run for run in client.get(f"/v1/tasks/{name}/runs").json() if run["rank"] == rank)
    return pid_of(service, run["node"], run["id"])


def test_workers_out_of_memory_or_stopped_and_resizes_that_are_interrupted(
    service: Live, tmp_path: Path
) -> None:
    folder = tmp_path / "group"
    with service.client() as client:
        environment = {"PYTHONPATH": str(SOURCE), "HANG_S": "1"}
        name = start(client, folder, 10_000, workers="1..3", memory="700 MB", environment=environment)
        trains_with(client, name, 3)
        for workers in (1, 3, 2):  # a resize during a resize: the last wish counts
            resize(client, name, workers)
        trains_with(client, name, 2)

        newest = task(client, name)["group"]["members"][-1]
        (folder / f"greedy.{newest}").touch()
        wait_until(lambda: any("out of memory" in why for why in lost(client, name)), "the cause is named")
        assert any(f"worker {newest} out of memory" in why for why in lost(client, name))
        trains_with(client, name, 2)

        newest = task(client, name)["group"]["members"][-1]
        os.kill(process(service, client, name, newest), signal.SIGSTOP)
        stopped = f"worker {newest} does not answer; it is killed"
        wait_until(lambda: stopped in lost(client, name), "the one that is stopped is named and killed")
        trains_with(client, name, 2)
        resize(client, name, 3)
    service.kill()  # and with it the agents of its nodes
    service.start()
    with service.client() as client:
        trains_with(client, name, 3)
        ended, epochs = enough(client, name, folder)
        assert (ended["attempt"], ended["failures"]) == (1, 0)
    want = alone(tmp_path / "alone", epochs)
    got = torch.load(folder / "model.pt")
    assert all(torch.allclose(got[key], want[key], rtol=0, atol=1e-12) for key in want)
    assert len(seen(folder)) >= epochs * SAMPLES - BATCH, "the stopped one may have written less"


def test_a_group_that_cannot_train_fails_and_says_why(service: Live, tmp_path: Path) -> None:
    script = tmp_path / "nan.py"
    script.write_text(
        "import torch\n"
        "from trainmaster import train\n"
        "model = torch.nn.Linear(1, 1)\n"
        "data = torch.utils.data.TensorDataset(torch.full((8, 1), float('nan')))\n"
        "with train.task() as t:\n"
        "    t.prepare(model)\n"
        "    for _ in t.epochs(1):\n"
        "        for (x,) in t.batches(data):\n"
        "            model(x).sum().backward()\n"
    )
    with service.client() as client:
        name = start(client, tmp_path, 0, workers="2..2", command=[os.sys.executable, str(script)])
        ended = wait_until(lambda: (t := task(client, name))["ended_at"] and t, "it ends", within_s=60)
        assert ended["state"] == "FAILED" and "exited with 1" in ended["reason"]
        lines = client.get(f"/v1/tasks/{name}/logs").json()["lines"]
        assert any("NotFinite: step 0 of epoch 0" in line["text"] for line in lines)
