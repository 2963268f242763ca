"""The history of a real service: replayed under other profiles, and decided upon once more."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.live import Live, live
from trainmaster.bootstrap.config import load_config
from trainmaster.bootstrap.serve import running
from trainmaster.cli.main import run
from trainmaster.client import Client, Refused
from trainmaster.domain.errors import UnknownProfile
from trainmaster.domain.events import Event
from trainmaster.domain.ids import TaskId
from trainmaster.domain.task import Elasticity, TaskSpec, Urgency
from trainmaster.domain.units import Resources
from trainmaster.policies.registry import named
from trainmaster.scheduler.state import Outcome, State
from trainmaster.scheduler.step import step
from trainmaster.service import loop


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    yield from live(tmp_path_factory.mktemp("whatif") / "data", nodes=2)


@pytest.fixture(scope="module")
def client(service: Live) -> Iterator[Client]:
    with Client(service.url, service.token, timeout=60.0) as client:
        yield client


def test_the_history_is_replayed(service: Live, client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Refused, match="no task ran within the last 1 h") as caught:
        client.whatif("dtes", last_s=3600.0)
    assert (caught.value.code, caught.value.status) == ("empty-history", 404)
    capacity = client.nodes()[0].cpus
    tasks = [client.submit(command=["sleep", "0.3"], cpus=capacity, name=f"nap-{n}") for n in range(5)]
    for task in tasks:
        assert client.wait(task.id, timeout=60).ok
    found = client.whatif("dtes", last_s=3600.0, nodes=5)
    assert found.tasks == 5 and not found.left_out
    was, replayed, other = found.columns
    assert (was.ended, replayed.ended, other.ended, other.nodes) == (5, 5, 5, 5)
    assert was.profile == replayed.profile == "default" and other.profile == "dtes"
    assert other.wait_s.max < replayed.wait_s.max, "with a node each nobody waits"
    assert {row.task for row in found.rows} == {task.id for task in tasks}

    options = ["--url", service.url, "--token", service.token]
    assert run([*options, "whatif", "--profile", "dtes", "--last", "1h", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [column["nodes"] for column in told["columns"]] == [2, 2, 2]
    assert run([*options, "whatif", "--profile", "dtes", "--last", "1h"]) == 0
    assert "busy node-hours" in capsys.readouterr().out
    assert run([*options, "whatif", "--profile", "nonsense"]) == 2
    assert "no profile 'nonsense'" in capsys.readouterr().err
    assert run([*options, "whatif", "--profile", "dtes", "--last", "soon"]) == 2
    with pytest.raises(UnknownProfile):
        client.whatif("nonsense")


def test_what_waits_is_told_when_it_starts(
    service: Live, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    capacity = client.nodes()[0].cpus
    full = [client.submit(command=["sleep", "300"], cpus=capacity, estimate="100s") for _ in range(2)]
    later = client.submit(command=["true"], cpus=capacity, estimate="50s", name="later")
    last = client.submit(command=["true"], cpus=capacity, name="last")
    told = client.expected(later.id)
    assert told.starts_at is not None and told.ends_at is not None
    started = min(client.task(task.id).submitted_at for task in full)
    assert told.starts_at == pytest.approx(started + 100, abs=10)
    assert told.ends_at == pytest.approx(told.starts_at + 50, abs=5)
    options = ["--url", service.url, "--token", service.token]
    assert run([*options, "explain", last.id]) == 0
    assert "starts in about 1 min" in capsys.readouterr().out
    for task in (last, later, *full):
        client.cancel(task.id)
        client.wait(task.id, timeout=60)
    assert client.expected(last.id).told == "has ended: CANCELLED"
    assert run([*options, "explain", last.id]) == 0
    assert "expected" not in capsys.readouterr().out


Tape = list[tuple[tuple[Event, ...], float, Outcome]]


def decided(outcome: Outcome) -> dict[str, Any]:
    """All that a step decided, in a form that can be compared."""
    return {
        "tasks": outcome.tasks, "runs": outcome.runs, "records": outcome.records,
        "commands": outcome.commands, "refused": {at: str(error) for at, error in outcome.refused.items()},
        "wake_at": outcome.wake_at, "again": outcome.again,
    }  # fmt: skip


def test_a_replay_of_what_the_service_saw_decides_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every event of a live run with its time, given to the scheduler once more."""
    tape: Tape = []

    def recorded(state: State, events: Sequence[Event], now: float) -> Outcome:
        outcome = step(state, events, now)
        tape.append((tuple(events), now, outcome))
        return outcome

    monkeypatch.setattr(loop, "step", recorded)
    asyncio.run(_live_run(tmp_path))
    state = State(policies=named("default"))
    for events, now, outcome in tape:
        assert decided(step(state, events, now)) == decided(outcome)
    kinds = {str(record.kind) for _, _, outcome in tape for record in outcome.records}
    assert {"task-resizing", "task-interrupted", "task-failed", "task-cancelled"} <= kinds, "a run worth it"


async def _live_run(folder: Path) -> None:
    """On two nodes: elastic tasks that restart, an urgent one that preempts, a failure, a cancellation."""
    gate = folder / "gate"
    config = load_config(data=str(folder / "data"), port=0, nodes=2)
    async with running(config, lambda: False) as ready:
        service = ready.service

        def states(tasks: Sequence[TaskId]) -> set[str]:
            live = (service.state.tasks.get(task) for task in tasks)
            return {"ended" if task is None else str(task.state) for task in live}

        whole = service.nodes()[0].capacity.cpu_m
        waits = f"import os, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.02)"
        half = Resources(cpu_m=whole // 2)
        bad = await service.submit(TaskSpec("bad", command=("false",), resources=half))
        await _until(lambda: states([bad.id]) == {"ended"})
        tasks = []
        for name in ("first", "second"):
            spec = TaskSpec(
                name, command=(sys.executable, "-c", waits), resources=half, max_workers=4,
                elasticity=Elasticity.RESTART, grace_s=0.1,
            )  # fmt: skip
            tasks.append((await service.submit(spec)).id)
            await _until(lambda: states(tasks) == {"RUNNING"})
        urgent = TaskSpec("now", command=("true",), resources=Resources(cpu_m=whole), urgency=Urgency.HIGHEST)
        ahead = (await service.submit(urgent)).id
        gone = await service.submit(TaskSpec("never", command=("true",), resources=Resources(cpu_m=whole)))
        await service.cancel(gone.id, gone.spec.user)
        await _until(lambda: states([ahead]) == {"ended"})
        gate.touch()
        await _until(lambda: states(tasks) == {"ended"})


async def _until(holds: Any) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - a state of the service, which tells nobody
            await asyncio.sleep(0.02)
