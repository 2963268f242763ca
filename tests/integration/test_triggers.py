"""Triggers against a real service: the HTTP interface, the SDK and the command line."""

from __future__ import annotations

import asyncio
import os
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.live import Live, wait_until
from trainmaster.cli.main import run
from trainmaster.client import AsyncClient, Client, Firing, Workflow
from trainmaster.domain.errors import InvalidTask, UnknownWorkflow, Unplaceable, WrongParameter
from trainmaster.domain.firing import TriggerExists, UnknownTrigger
from trainmaster.domain.trigger import InvalidTrigger, UnknownZone

TRUE = {"command": ["true"], "cpus": 0.1}


@pytest.fixture
def client(shared_service: Live) -> Any:
    with Client(shared_service.url, shared_service.token) as client:
        yield client


def settled(client: Client, trigger: str, count: int) -> list[Firing]:
    """The latest firings, once `count` of their tasks have succeeded."""

    def look() -> list[Firing]:
        found = client.triggers.firings(trigger)
        return found if sum(row.state == "SUCCEEDED" for row in found) >= count else []

    found: list[Firing] = wait_until(look, f"{count} firings of {trigger} have succeeded")
    return found


def test_a_trigger_fires_and_its_tasks_know_of_which_due_time(client: Client) -> None:
    made = client.triggers.add(name="often", every="0.2s", overlap="allow", task=TRUE)  # type: ignore[typeddict-item]
    rows = settled(client, "often", 3)
    dues = [row.due for row in rows]
    assert [round((a - b) * 1000) for a, b in pairwise(dues)] == [200] * (len(dues) - 1)
    done = next(row for row in rows if row.state == "SUCCEEDED")
    task = client.task(done.task or "")
    assert (task.trigger, task.due, task.labels["period_s"]) == (made.id, done.due, "0.2")
    assert done.started_at is not None and done.started_at >= done.due
    assert client.triggers.pause("often").paused
    assert client.triggers.get(made.id[:6]).coming == []
    client.triggers.delete("often")
    assert client.triggers.firings(None)[0].trigger
    with pytest.raises(UnknownTrigger):
        client.triggers.get("often")


def test_run_now_edit_and_back_fill(client: Client) -> None:
    start = float(int(time.time()) - 3600)
    made = client.triggers.add(name="hourly", every="10m", start=start, task=TRUE)  # type: ignore[typeddict-item]
    now = client.triggers.run("hourly")
    assert (now.outcome, now.cause) == ("fired", "manual")
    settled(client, "hourly", 1)
    plan = client.triggers.backfill("hourly", start, start + 1800)
    assert (plan.dues, plan.started) == ([start, start + 600, start + 1200], False)
    assert client.triggers.backfill("hourly", start, start + 1800, start=True).dues == plan.dues
    rows = settled(client, "hourly", 4)
    assert [row.cause for row in rows] == ["manual", "backfill", "backfill", "backfill"]
    again = client.triggers.backfill("hourly", start, start + 1800, start=True)
    assert (again.dues, again.fired) == ([], 3)
    changed = client.triggers.change(
        "hourly", name="yearly", cron="@yearly", zone="Asia/Tokyo", overlap="queue-all"
    )
    assert (changed.id, changed.definition["cron"], changed.gap) == (made.id, "@yearly", "after")
    assert changed.definition["task"]["command"] == ["true"]
    assert "every" not in changed.definition


@pytest.mark.parametrize(
    ("fields", "error", "field"),
    [
        ({"cron": "61 * * * *"}, InvalidTrigger, "cron"),
        ({"cron": "0 0 30 2 *"}, InvalidTrigger, "cron"),
        ({"cron": "* * * * *", "zone": "Mars/Base"}, UnknownZone, "zone"),
        ({"cron": "* * * * *", "every": "1h"}, InvalidTrigger, "cron"),
        ({}, InvalidTrigger, "cron"),
        ({"every": "1ms"}, InvalidTrigger, "every"),
        ({"at": 1000.0}, InvalidTrigger, "rule"),
        ({"every": "soon"}, InvalidTask, "every"),
        ({"every": "1h", "exclude": ["never"]}, InvalidTrigger, "exclusions"),
        ({"every": "1h", "start": 50.0, "end": 40.0}, InvalidTrigger, "end"),
        ({"every": "1h", "name": "a/b"}, InvalidTrigger, "name"),
        ({"every": "1h", "task": {"command": ["true"], "after": ["t-x"]}}, InvalidTrigger, "task.after"),
        ({"every": "1h", "task": {"command": []}}, InvalidTask, "command"),
    ],
)
def test_what_can_never_be_right_is_refused_by_name(
    client: Client, fields: dict[str, Any], error: type[Exception], field: str
) -> None:
    with pytest.raises(error) as caught:
        client.triggers.add(**{"name": "bad", "task": TRUE, **fields})
    assert caught.value.fields["field"] == field  # type: ignore[attr-defined]
    assert caught.value.remedy  # type: ignore[attr-defined]
    assert "bad" not in [trigger.name for trigger in client.triggers.list()]


def test_conflicts_are_refused(client: Client) -> None:
    client.triggers.add(name="one", every="1h", task=TRUE)  # type: ignore[typeddict-item]
    with pytest.raises(TriggerExists):
        client.triggers.add(name="one", every="2h", task=TRUE)  # type: ignore[typeddict-item]
    with pytest.raises(Unplaceable):
        client.triggers.add(name="huge", every="2h", task={"command": ["true"], "gpus": 64})
    with pytest.raises(InvalidTrigger):
        client.triggers.backfill("one", time.time(), time.time() + 50)
    with pytest.raises(UnknownTrigger):
        client.triggers.run("g-nobody")


def test_an_infeasible_set_is_made_with_a_warning(client: Client) -> None:
    fine = client.triggers.add(name="fine", every="1h", task={**TRUE, "estimate": "1s"})  # type: ignore[typeddict-item]
    assert fine.warnings == []
    much = client.triggers.add(name="much", every="1s", task={**TRUE, "estimate": "2h"})  # type: ignore[typeddict-item]
    assert "not all deadlines can be met" in much.warnings[0]
    client.triggers.delete("much")


def test_a_task_waits_for_its_time(client: Client) -> None:
    at = time.time() + 1.5
    process = client.submit(command=["true"], cpus=0.1, start_at=at)
    function = client.submit(function="os:getpid", start_at=at)
    assert process.state == "QUEUED"
    assert client.explain(process.id).headline.endswith("its time to start has not come.")
    for task in (process, function):
        ended = client.wait(task.id, 30)
        assert ended.ok and ended.first_started_at is not None and ended.first_started_at >= at


def test_the_async_client_does_the_same(shared_service: Live) -> None:
    async def use() -> list[str]:
        async with AsyncClient(shared_service.url, shared_service.token) as client:
            made = await client.triggers.add(name="async", every="1h", task=TRUE)  # type: ignore[typeddict-item]
            await client.triggers.pause(made.id)
            await client.triggers.resume(made.id)
            await client.triggers.change(made.id, jitter="5s")
            firing = await client.triggers.run(made.id)
            plan = await client.triggers.backfill(made.id, made.created_at - 10, made.created_at - 5)
            assert (plan.dues, (await client.triggers.get("async")).definition["jitter"]) == ([], 5.0)
            rows = await client.triggers.firings(made.id)
            names = [trigger.name for trigger in await client.triggers.list()]
            await client.triggers.delete(made.id)
            assert [row.due for row in rows] == [firing.due]
            return names

    assert "async" in asyncio.run(use())


def test_the_command_line(
    shared_service: Live, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in [name for name in os.environ if name.startswith("TRAINMASTER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TRAINMASTER_DATA", str(shared_service.data))
    monkeypatch.chdir(tmp_path)

    def say(*words: str) -> tuple[int, str, str]:
        code = run(list(words))
        told = capsys.readouterr()
        return code, told.out, told.err

    code, out, _ = say(
        "trigger", "add", "cli", "--cron", "30 2 * * *", "--zone", "Europe/Berlin", "--gap", "shift",
        "--overlap", "queue-one", "--jitter", "10s", "--cpus", "0.1", "--env", "A=b", "--", "true",
    )  # fmt: skip
    assert code == 0
    assert "30 2 * * * (Europe/Berlin)" in out and "next" in out
    assert "queue-one" in say("trigger", "list")[1]
    assert "gap shift" in say("trigger", "show", "cli", "-n", "3")[1]
    assert say("trigger", "pause", "cli")[1] == "cli is paused\n"
    assert "goes on, next" in say("trigger", "resume", "cli")[1]
    assert say("trigger", "edit", "cli", "--every", "1h", "--overlap", "allow")[0] == 0
    assert say("trigger", "run", "cli")[1].startswith("fired: t-")
    assert say("trigger", "edit", "cli", "--memory", "1MB")[0] == 0
    assert "true" in say("trigger", "show", "cli")[1], "the rest of the task stays"
    with Client(shared_service.url, shared_service.token) as client:
        client.define_workflow(etl())
    code, out, err = say("trigger", "edit", "cli", "--workflow", "etl", "--param", "day=${{ due.date }}")
    assert code == 0, err
    assert "workflow etl with day=${{ due.date }}" in say("trigger", "show", "cli")[1]
    assert say("trigger", "run", "cli")[1].startswith("fired: w-")
    code, _, err = say("trigger", "add", "both", "--every", "1h", "--workflow", "etl", "--", "true")
    assert code == 2 and "names both" in err
    code, out, _ = say("trigger", "backfill", "cli", "--since", "2h")
    assert code == 0 and "to start (add --start)" in out
    assert "manual" in say("trigger", "firings", "cli")[1]
    assert "cli" in say("trigger", "firings", "--outcome", "fired")[1]
    assert say("trigger", "delete", "cli")[0] == 0
    code, _, err = say("trigger", "show", "cli")
    assert code == 2 and "there is no trigger 'cli'" in err
    code, _, err = say("trigger", "add", "bad", "--cron", "61 * * * *", "--", "true")
    assert code == 2 and "Bad minute" in err
    code, out, _ = say("submit", "--at", "1h", "--cpus", "0.1", "--", "true")
    assert code == 0 and "its time to start has not come" in out


def etl() -> Workflow:
    flow = Workflow("etl", parameters={"day": {"type": "string"}, "n": 1})
    first = flow.stage("load", command=["sh", "-c", "echo ${{ params.day }}"], cpus=0.1)
    flow.stage("train", command=["true"], cpus=0.1, after=[first])
    return flow


def test_a_workflow_by_the_clock(client: Client) -> None:
    """Made, run, changed, back-filled, by the SDK; the answers link to the runs."""
    client.define_workflow(etl())
    start = float(int(time.time()) - 3600)
    fields: Any = {
        "every": "10m",
        "start": start,
        "workflow": "etl",
        "parameters": {"day": "${{ due.date }}"},
    }
    made = client.triggers.add(name="by the clock", **fields)
    assert made.definition["workflow"] == "etl" and "task" not in made.definition
    firing = client.triggers.run("by the clock")
    assert firing.outcome == "fired" and firing.task is None
    ended = client.wait_workflow_run(firing.run or "", timeout=60)
    assert ended.ok and ended.trigger == made.id and ended.due == firing.due
    assert ended.parameters == {"day": time.strftime("%Y-%m-%d", time.gmtime(firing.due)), "n": 1}
    plan = client.triggers.backfill("by the clock", start, start + 1200, start=True)
    assert plan.dues == [start, start + 600]
    rows = settled(client, "by the clock", 3)
    assert [(row.due, row.cause) for row in rows[-2:]] == [(start + 600, "backfill"), (start, "backfill")]
    assert client.triggers.backfill("by the clock", start, start + 1200).dues == []
    changed = client.triggers.change("by the clock", parameters={"day": "always", "n": 2})
    assert changed.definition["parameters"] == {"day": "always", "n": 2}
    with pytest.raises(WrongParameter, match="must be of type integer"):
        client.triggers.change("by the clock", parameters={"day": "always", "n": "two"})
    with pytest.raises(WrongParameter, match="day is missing"):
        client.triggers.add(name="lacking", every="1h", workflow="etl")
    with pytest.raises(UnknownWorkflow):
        client.triggers.add(name="lacking", every="1h", workflow="no-such")
    with pytest.raises(InvalidTrigger, match="either a task or a workflow"):
        client.triggers.add(name="both", every="1h", workflow="etl", task=TRUE)  # type: ignore[typeddict-item]
    swapped = client.triggers.change("by the clock", task=TRUE)  # type: ignore[typeddict-item]
    assert "workflow" not in swapped.definition and swapped.definition["task"]["command"] == ["true"]
    client.triggers.delete("by the clock")


@pytest.mark.timeout(120)
def test_killed_between_the_claim_of_a_workflow_and_its_start(tmp_path: Path) -> None:
    """The firing is recorded, and no node has begun anything of its run."""
    flow = Workflow("marks", parameters={"due": {"type": "number"}})
    line = "echo ${{ params.due }} ${{ run.id }} >> " + str(tmp_path / "ran")
    flow.stage("mark", command=["sh", "-c", line], cpus=0.1)
    service = Live(tmp_path / "data", nodes=2, leave_running=False)
    service.start(60)
    try:
        with Client(service.url, service.token) as client:
            client.define_workflow(flow)
            for node in client.nodes():
                client.drain(node.id)
            parameters = {"due": "${{ due.seconds }}"}
            at = time.time() + 0.3
            client.triggers.add(name="once", at=at, grace="60s", workflow="marks", parameters=parameters)

            def fired() -> list[Firing]:
                return [row for row in client.triggers.firings("once") if row.outcome == "fired"]

            (before,) = wait_until(fired, "it has fired")
        service.kill()
        assert not (tmp_path / "ran").exists()
        service.start(60)
        with Client(service.url, service.token) as client:
            assert client.workflow_run(before.run or "").state == "RUNNING"
            assert client.triggers.get("once").live == [before.run]
            for node in client.nodes():
                client.drain(node.id, False)
            assert client.wait_workflow_run(before.run or "", timeout=60).ok
            (after,) = client.triggers.firings("once")
            assert (after.run, after.state) == (before.run, "SUCCEEDED")
        assert (tmp_path / "ran").read_text() == f"{before.due} {before.run}\n"
    finally:
        if service.up:
            service.stop()
