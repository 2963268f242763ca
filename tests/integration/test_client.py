"""The SDK against a real service."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live import Live
from trainmaster.client import AsyncClient, Client, LogFilter, TaskFailed, WaitTimeout
from trainmaster.domain.errors import (
    IdempotencyConflict,
    TaskEnded,
    UnknownNode,
    UnknownProfile,
    UnknownTask,
    Unplaceable,
)


@pytest.fixture(scope="module")
def client(shared_service: Live) -> Iterator[Client]:
    with Client(shared_service.url, shared_service.token) as client:
        yield client


def echo(text: str) -> list[str]:
    return ["sh", "-c", f"echo {text}"]


def test_a_task_from_submission_to_its_log(client: Client) -> None:
    task = client.submit(command=echo("hello"), cpus=0.1, name="one", labels={"team": "a"})
    assert (task.name, task.labels, task.ended) == ("one", {"team": "a"}, False)
    ended = client.wait(task.id, timeout=30)
    assert (ended.ok, ended.exit_code) == (True, 0)
    assert [line.text for line in client.follow(task.id)] == ["hello"]
    assert [line.text for line in client.logs(task.id, LogFilter(streams=("STDOUT",)))] == ["hello"]
    assert [run.exit_code for run in client.runs(task.id)] == [0]
    assert client.explain(task.id).state == "SUCCEEDED"
    kinds = [event.kind for event in client.events(task.id)]
    assert kinds[0] == "task-submitted"
    assert kinds[-1] == "task-succeeded"


def test_errors_are_those_of_the_domain(client: Client) -> None:
    with pytest.raises(UnknownTask, match="there is no task t-nothere"):
        client.task("t-nothere")
    with pytest.raises(Unplaceable) as caught:
        client.submit(command=["true"], gpus=8)
    assert caught.value.remedy
    with pytest.raises(UnknownNode):
        client.node("nowhere")
    with pytest.raises(UnknownProfile):
        client.use_profile("none")
    task = client.submit(command=["true"], cpus=0.1, idempotency_key="k")
    assert client.submit(command=["true"], cpus=0.1, idempotency_key="k").id == task.id
    with pytest.raises(IdempotencyConflict):
        client.submit(command=["false"], cpus=0.1, idempotency_key="k")
    client.wait(task.id, timeout=30)
    with pytest.raises(TaskEnded):
        client.cancel(task.id)


def test_many_tasks_and_all_pages_of_them(client: Client) -> None:
    answers = client.submit_many(
        [{"command": ["true"], "cpus": 0.1, "name": f"many-{n}"} for n in range(25)]
        + [{"command": ["true"], "gpus": 9, "name": "never"}]
    )
    assert [answer.ok for answer in answers] == [True] * 25 + [False]
    assert answers[-1].code == "unplaceable"
    names = [task.name for task in client.tasks(text="many-", page_size=10)]
    assert names == [f"many-{n}" for n in reversed(range(25))]
    assert len(list(client.tasks(text="many-", page_size=10, limit=12))) == 12
    for answer in answers[:-1]:
        assert answer.id is not None
        assert client.wait(answer.id, timeout=60).ok


def test_waiting_ends_in_time_and_cancelling_ends_the_task(client: Client) -> None:
    task = client.submit(command=["sleep", "60"], cpus=0.1)
    with pytest.raises(WaitTimeout, match="is still"):
        client.wait(task.id, timeout=0.2)
    assert client.priority(task.id, priority=2).priority == 2.0
    client.cancel(task.id)
    assert client.wait(task.id, timeout=30).state == "CANCELLED"


def test_a_function_gives_its_result(client: Client) -> None:
    assert client.run_function("math:hypot", [3, 4], timeout=60) == 5.0
    with pytest.raises(TaskFailed, match="math:sqrt") as caught:
        client.run_function("math:sqrt", [-1], timeout=60)
    assert client.task(caught.value.fields["task"]).state == "FAILED"


def test_the_cluster(client: Client) -> None:
    assert [node.id for node in client.nodes()] == ["node-1", "node-2", "node-3", "node-4"]
    assert client.drain("node-1").state == "DRAINING"
    assert client.drain("node-1", False).state == "UP"
    assert [profile.name for profile in client.profiles() if profile.active] == ["default"]
    assert client.set_quota("ann", queued_tasks=3).queued_tasks == 3
    assert client.health()["status"] == "ok"
    overview = client.overview()
    assert overview.nodes[0].gauges.cpu >= 0
    token = client.new_token("ann", "viewer", days=1)
    assert "tm_" not in repr(token)
    client.revoke_token(token.id)


def test_watching_sees_what_happens_next(client: Client) -> None:
    after = client.events(limit=1)[-1].seq
    task = client.submit(command=["true"], cpus=0.1)
    seen = []
    for event in client.watch(after):
        seen.append(event.seq)
        if event.task == task.id and event.kind == "task-succeeded":
            break
    assert seen == list(range(after + 1, after + 1 + len(seen)))


async def test_the_async_client_does_the_same(shared_service: Live) -> None:
    async with AsyncClient(shared_service.url, shared_service.token) as client:
        task = await client.submit(command=echo("async"), cpus=0.1)
        assert (await client.wait(task.id, timeout=30)).ok
        assert [line.text async for line in client.follow(task.id)] == ["async"]
        assert [line.text async for line in client.logs(task.id)] == ["async"]
        found = [found.id async for found in client.tasks(limit=1)]
        assert found == [task.id]
        with pytest.raises(UnknownTask):
            await client.explain("t-nothere")
        first = client.watch(0)
        assert (await anext(first)).kind == "node-joined"
        await first.aclose()  # type: ignore[attr-defined]
