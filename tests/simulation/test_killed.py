"""Killed twenty times: the service dies by SIGKILL at seeded random moments while tasks run.

Every task must end exactly once, with its exit code and every line of its log, having run once; and nothing
may be left running.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from tests.docker_engine import IMAGE, DockerEngine
from tests.live import Live, log_lines, wait_until

SCRIPT = """
import os, sys, time
lines, seconds, code = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
with open(sys.argv[4], "a") as ran:
    ran.write(os.environ["TRAINMASTER_TASK"] + "\\n")
for n in range(lines):
    print("line", n, flush=True)
    time.sleep(seconds / lines)
sys.exit(code)
"""


# A task, given its lines, seconds, exit code and the file in which it leaves a mark when it starts.
Describe = Callable[[int, float, int, Path], dict[str, Any]]


def processes(script: Path) -> Describe:
    script.write_text(SCRIPT)

    def describe(lines: int, seconds: float, code: int, ran: Path) -> dict[str, Any]:
        words = [sys.executable, "-S", str(script), str(lines), str(seconds), str(code), str(ran)]
        return {"command": words, "cpus": 0.25}

    return describe


def containers(lines: int, seconds: float, code: int, ran: Path) -> dict[str, Any]:
    shell = (
        f"echo $TRAINMASTER_TASK >> /out/{ran.name}; n=0; while [ $n -lt {lines} ]; do echo line $n; "
        f"n=$((n+1)); sleep {seconds / lines:.3f}; done; exit {code}"
    )
    return {
        "image": IMAGE,
        "command": ["sh", "-c", shell],
        "volumes": [f"{ran.parent}:/out"],
        "cpus": 0.25,
    }


def kill_often(service: Live, describe: Describe, ran: Path, tasks: int, kills: int, seed: int) -> None:
    """Submit `tasks` in portions, kill the service `kills` times meanwhile, let it finish, check."""
    print(f"seed {seed}")
    rng = random.Random(seed)
    ran.touch()
    ran.chmod(0o666)
    expected: dict[str, tuple[int, int]] = {}
    service.start()
    try:
        while kills or len(expected) < tasks:
            with service.client() as client:
                for _ in range(min(12, tasks - len(expected))):
                    lines, seconds = rng.randint(1, 30), rng.choice([0.01, 0.1, 0.5, 2.0])
                    code = rng.choice([0, 0, 0, 1, 7])
                    answer = client.post(
                        "/v1/tasks",
                        json=describe(lines, seconds, code, ran),
                        headers={"Idempotency-Key": f"key-{len(expected)}"},
                    )
                    assert answer.status_code == 201, answer.text
                    expected[answer.json()["id"]] = (lines, code)
            time.sleep(rng.uniform(0.05, 0.8))
            if kills:
                service.kill()
                kills -= 1
                service.start()
        with service.client() as client:
            wait_until(lambda: service.ended(client), "all tasks end", 120, 0.2)
            check(client, expected, ran)
    finally:
        if service.up:
            service.stop()
    folders = list((service.data / "nodes").glob("*/runs/t-*"))
    assert not folders, f"run folders are left: {folders[:3]}"


@pytest.mark.timeout(400)
def test_killed_twenty_times(tmp_path: Path) -> None:
    script = tmp_path / "task.py"
    service = Live(tmp_path / "data", nodes=4, cores=4)
    kill_often(service, processes(script), tmp_path / "ran", tasks=200, kills=20, seed=20260711)
    leftovers = [p for p in psutil.process_iter(["cmdline"]) if str(script) in (p.info["cmdline"] or [])]
    assert not leftovers, "tasks are left running"


@pytest.mark.needs("docker")
@pytest.mark.timeout(400)
def test_killed_twenty_times_with_containers(tmp_path: Path, docker_engine: DockerEngine) -> None:
    data = tmp_path / "data"
    before = set(docker_engine.containers())
    service = Live(data, nodes=2, cores=4, docker=docker_engine.url, volume_roots=[str(tmp_path)])
    kill_often(service, containers, tmp_path / "ran", tasks=40, kills=20, seed=20260712)
    assert set(docker_engine.containers()) <= before, "containers are left"


def check(client: httpx2.Client, expected: dict[str, tuple[int, int]], ran: Path) -> None:
    problems = []
    runs = Counter(ran.read_text().split())
    for task, (lines, code) in expected.items():
        told = client.get(f"/v1/tasks/{task}").json()
        if (told["exit_code"], told["attempt"]) != (code, 1):
            problems.append((task, "exit", told["exit_code"], code, told["attempt"], told["reason"]))
        if told["state"] != ("SUCCEEDED" if code == 0 else "FAILED"):
            problems.append((task, "state", told["state"], told["reason"]))
        if runs[task] != 1:
            problems.append((task, "ran", runs[task], "times"))
        text = [line["text"] for line in log_lines(client, task)]
        if text != [f"line {n}" for n in range(lines)]:
            problems.append((task, "log", len(text), lines))
        ends = [e["kind"] for e in client.get(f"/v1/tasks/{task}/events").json()["events"]]
        if sum(kind in ("task-succeeded", "task-failed") for kind in ends) != 1:
            problems.append((task, "ended", ends))
    assert not problems, problems[:10]
