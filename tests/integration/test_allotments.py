"""Every allotment policy drives real training, one after the other in the same service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_elastic import ends_well, seen, start, task
from tests.live import Live, live, wait_until
from trainmaster.policies.registry import ALLOTMENTS

EPOCHS = 3
pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def service(tmp_path: Path) -> Any:
    profiles = {
        name.replace("_", "-"): {
            "ordering": "multi_queue",
            "allotment": name,
            "placement": "least_loaded",
            "preemption": "none",
        }
        for name in ALLOTMENTS
    }
    yield from live(tmp_path / "data", nodes=2, cores=0.6, profiles=profiles)  # six workers


def test_each_starts_resizes_and_loses_no_sample(service: Live, tmp_path: Path) -> None:
    with service.client() as client:
        resident = start(client, tmp_path / "resident", 100_000, workers="1..4")
        for name, kind in sorted(ALLOTMENTS.items()):
            answer = client.put("/v1/profile", json={"name": name.replace("_", "-")})
            assert answer.status_code == 200, answer.text
            folder = tmp_path / name
            guest = start(client, folder, EPOCHS, workers="1..2")
            ends_well(client, guest)
            told = client.get(f"/v1/tasks/{guest}/events").json()["events"]
            (accepted, *_) = [event["reason"] for event in told if event["kind"] == "task-accepted"]
            assert f"{kind().name} gave" in accepted
            samples = seen(folder)
            assert {epoch for epoch, _ in samples} == {str(epoch) for epoch in range(EPOCHS)}, name
            assert set(samples.values()) == {1}, name
        assert task(client, resident)["failures"] == 0
        client.post(f"/v1/tasks/{resident}/cancel")
        wait_until(lambda: task(client, resident)["state"] == "CANCELLED", "it is cancelled")
        assert max(seen(tmp_path / "resident").values()) == 1, "nothing is trained on twice"
