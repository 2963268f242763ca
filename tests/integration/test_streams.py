"""Server-sent events: live, and resumed exactly where a client was."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.live import Live

COUNT = "import time\nfor n in range(60):\n    print(n, flush=True)\n    time.sleep(0.01)"


@pytest.fixture(scope="module")
def client(shared_service: Live) -> Iterator[httpx2.Client]:
    with shared_service.client(timeout=20) as client:
        yield client


def events(response: httpx2.Response) -> Iterator[tuple[str, str, Any]]:
    """(event, id, data) of a stream."""
    kind = id_ = ""
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "id":
            id_ = value
        elif name == "data":
            yield kind, id_, json.loads(value)


def test_a_log_is_followed_live_and_resumed_without_gap_or_repetition(client: httpx2.Client) -> None:
    task = client.post("/v1/tasks", json={"command": [sys.executable, "-c", COUNT], "cpus": 0.5}).json()["id"]
    seen: list[str] = []
    last = ""
    with client.stream("GET", f"/v1/tasks/{task}/logs/stream") as response:
        for kind, id_, data in events(response):
            assert kind == "lines"
            seen += [line["text"] for line in data]
            last = id_
            if len(seen) >= 10:
                break  # the connection is lost
    with client.stream("GET", f"/v1/tasks/{task}/logs/stream", headers={"Last-Event-ID": last}) as response:
        for kind, _, data in events(response):
            if kind == "end":
                break
            seen += [line["text"] for line in data]
    assert seen == [str(n) for n in range(60)]


def test_events_are_streamed_in_order_and_resumed(client: httpx2.Client) -> None:
    start = client.get("/v1/events").json()["next"]
    seen: list[tuple[int, str]] = []
    for _ in range(3):
        client.post("/v1/tasks", json={"command": ["true"], "cpus": 0.1})
    last = str(start)
    while sum(kind == "task-succeeded" for _, kind in seen) < 3:
        with client.stream("GET", "/v1/events/stream", headers={"Last-Event-ID": last}) as response:
            for _, id_, data in events(response):
                seen.append((data["seq"], data["kind"]))
                last = id_
                break
    numbers = [seq for seq, _ in seen]
    assert numbers == sorted(set(numbers)) and numbers[0] > start
    assert [seq for seq, _ in seen] == [
        event["seq"] for event in client.get("/v1/events", params={"after": start}).json()["events"]
    ][: len(seen)]
