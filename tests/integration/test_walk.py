"""The walk of one task (docs/walk.md), step by step against a running service."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.live import Live, log_lines, wait_until

PROGRAM = """
import json, os, sys, time
with open(os.environ["TRAINMASTER_REPORT"], "a") as out:
    for step in range(3):
        out.write(json.dumps({"t": time.time(), "step": step, "loss": 1.0 / (step + 1)}) + "\\n")
print("hello from", os.environ["TRAINMASTER_NODE"], flush=True)
print("careful", file=sys.stderr, flush=True)
sys.stdin.read()
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
"""


def test_the_walk_of_one_task(live_service: Live, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with live_service.client() as client:
        body = {"command": [sys.executable, "-c", PROGRAM, str(gate)], "cpus": 0.5, "name": "walk"}
        answer = client.post("/v1/tasks", json=body)
        task = answer.json()["id"]
        assert answer.headers["location"] == f"/v1/tasks/{task}"
        assert answer.json()["state"] == "ACCEPTED", "placed in the transaction that records it"
        node = answer.json()["nodes"][0]

        wait_until(lambda: client.get(f"/v1/tasks/{task}").json()["state"] == "RUNNING", "it runs")
        wait_until(lambda: len(log_lines(client, task)) == 2, "both lines are stored")
        lines = {line["stream"]: line["text"] for line in log_lines(client, task)}
        assert lines == {"STDOUT": f"hello from {node}", "STDERR": "careful"}
        told = wait_until(
            lambda: (t := client.get(f"/v1/tasks/{task}").json())["progress"] and t, "progress is seen"
        )
        assert told["progress"]["step"] == 2 and abs(told["progress"]["metrics"]["loss"] - 1 / 3) < 1e-9
        steps = [metric["step"] for metric in client.get(f"/v1/tasks/{task}/metrics").json()]
        assert steps == [0, 1, 2]
        assert "step 2" in str(client.get(f"/v1/tasks/{task}/explain").json()["facts"])
        (run,) = client.get(f"/v1/tasks/{task}/runs").json()
        assert (run["id"], run["state"], run["node"]) == (f"{task}.1.0", "RUNNING", node)
        folder = live_service.data / "nodes" / node / "runs" / run["id"]
        assert folder.is_dir()

        gate.touch()
        wait_until(lambda: client.get(f"/v1/tasks/{task}").json()["state"] == "SUCCEEDED", "it ends")
        wait_until(lambda: not folder.exists(), "the node forgets it")
        kinds = [event["kind"] for event in client.get(f"/v1/tasks/{task}/events").json()["events"]]
        assert kinds == ["task-submitted", "task-accepted", "task-started", "task-succeeded"]
        page = client.get(f"/v1/tasks/{task}/logs").json()
        assert page["complete"] and len(page["lines"]) == 2
