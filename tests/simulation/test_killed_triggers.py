"""The service dies by SIGKILL around due times: no firing is lost, none happens twice, and a missed one is a
row."""

from __future__ import annotations

import random
import time
from collections import Counter
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from tests.live import Live, wait_until

from trainmaster.domain.trigger import Interval, Timing
from trainmaster.policies.firing.due import due_times

MODULE = """
import os
def mark(path):
    with open(path, "a") as file:
        file.write(os.environ["TRAINMASTER_TASK"] + "\\n")
"""
KILLS = 6
ONCE = 150


@pytest.mark.timeout(240)
def test_killed_around_due_times(tmp_path: Path) -> None:
    seed = 20261125
    print(f"seed {seed}")
    rng = random.Random(seed)
    ran = tmp_path / "ran"
    ran.touch()
    (tmp_path / "marks.py").write_text(MODULE)
    function = {"function": "marks:mark", "arguments": [str(ran)], "directory": str(tmp_path)}
    process = {"command": ["sh", "-c", f"echo $TRAINMASTER_TASK >> {ran}"], "cpus": 0.01}
    triggers: dict[str, dict[str, Any]] = {
        "ahead": {"every": "0.4s", "overlap": "allow", "grace": "60s", "task": function},
        "processes": {"every": "0.7s", "overlap": "allow", "grace": "60s", "task": process},
        "in turn": {"every": "0.5s", "overlap": "queue-all", "grace": "60s", "task": function},
        "strict": {"every": "0.3s", "overlap": "allow", "grace": "0.2s", "task": process},
        "flows": {
            "every": "0.6s",
            "overlap": "queue-all",
            "grace": "60s",
            "workflow": "marks",
            "parameters": {"due": "${{ due.seconds }}"},
        },
    }
    stages = {"one": process, "two": {**function, "after": ["one"]}}
    flow = {"name": "marks", "parameters": {"due": {"type": "number"}}, "stages": stages}
    service = Live(tmp_path / "data", leave_running=False, nodes=2, cores=4, lanes=1)
    service.start()
    try:
        made, once = {}, []
        with service.client() as client:
            assert client.post("/v1/workflows", json=flow).status_code == 201
            for name, fields in triggers.items():
                answer = client.post("/v1/triggers", json={"name": name, **fields})
                assert answer.status_code == 201, answer.text
                made[name] = answer.json()
        for kill in range(KILLS):
            with service.client() as client:
                due = time.time() + rng.uniform(0.3, 1.2)
                tasks = [{**function, "start_at": due}] * (ONCE // KILLS)
                once += [
                    item["id"]
                    for item in client.post("/v1/tasks/batch", json={"tasks": tasks}).json()["tasks"]
                ]
            time.sleep(max(due - time.time() + rng.uniform(-0.2, 0.1), 0.0))  # around the time they are due
            service.kill()
            if kill == KILLS // 2:
                time.sleep(1.0)  # long enough for some to be missed
            service.start()
        with service.client() as client:
            for name in triggers:
                assert client.post(f"/v1/triggers/{name}/pause").status_code == 200
            wait_until(lambda: service.ended(client), "all tasks end", 90, 0.2)
            rows = {
                name: client.get(f"/v1/triggers/{name}/firings", params={"limit": 5000}).json()
                for name in triggers
            }
            present = {name: client.get(f"/v1/triggers/{name}").json() for name in triggers}
            runs = {row["run"]: row["due"] for row in rows["flows"] if row["run"]}
            for run, due in runs.items():
                told = client.get(f"/v1/workflow-runs/{run}").json()
                assert (told["due"], told["parameters"]) == (due, {"due": due})
                for stage in stages:
                    of_stage = client.get(f"/v1/workflow-runs/{run}/stages/{stage}").json()["tasks"]
                    once += [task["id"] for task in of_stage]
    finally:
        if service.up:
            service.stop()
    expected: set[str] = set(once)
    for name, found in rows.items():
        trigger = made[name]
        every_ms = round(trigger["definition"]["every"] * 1000)
        timing = Timing(Interval(every_ms), start_ms=round(trigger["definition"]["start"] * 1000))
        last_ms = round(present[name]["last"] * 1000)
        dues = list(
            takewhile(
                lambda due, last=last_ms: due <= last, due_times(timing, round(trigger["created_at"] * 1000))
            )
        )
        assert sorted(round(row["due"] * 1000) for row in found) == dues, name
        outcomes = Counter(row["outcome"] for row in found)
        if name == "strict":
            assert outcomes["missed"] > 0 and outcomes["fired"] > 0, outcomes
        else:
            assert outcomes["missed"] == 0, (name, outcomes)
        # What was claimed ahead when it was paused is taken back, with a reason.
        assert all(row["reason"] for row in found if row["outcome"] != "fired"), name
        fired = [row for row in found if row["outcome"] == "fired"]
        assert {row["state"] for row in fired} == {"SUCCEEDED"}, name
        assert len(fired) > 3, name
        expected |= {row["task"] for row in fired} - {None}
        assert len({row["task"] or row["run"] for row in fired}) == len(fired), name
    begun = Counter(ran.read_text().split())
    assert set(begun) == expected
    assert set(begun.values()) == {1}, begun.most_common(3)
