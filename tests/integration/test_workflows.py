"""Workflows against a real service: over HTTP, from the command line, killed and started again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import Live, wait_until
from trainmaster.client import AsyncClient, Client, Workflow, WorkflowRun
from trainmaster.domain import errors

SOURCE = Path(__file__).parents[2] / "src"

JOBS = """
import json, os, pathlib, time

def split(count):
    return {"parts": list(range(count))}

def work(n):
    return n * n

def total(values):
    return sum(values)

def walk(n=3):
    return {"emit": [n - 1] * (n > 1) * 2, "output": n}

def place():
    return [int(os.environ["TRAINMASTER_SHARD"]), int(os.environ["TRAINMASTER_SHARDS"])]

def where():
    return os.environ["TRAINMASTER_NODE"]

def flaky(folder):
    mark = pathlib.Path(folder) / "mended"
    if not mark.exists():
        raise RuntimeError("not mended yet")
    return "fine"

def mark(folder, name, seconds=0.0):
    time.sleep(seconds)
    with open(pathlib.Path(folder) / "ran", "a") as ran:
        ran.write(name + "\\n")
    return name
"""


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "jobs.py").write_text(JOBS)
    return folder


@pytest.fixture(scope="module")
def client(shared_service: Live) -> Iterator[Client]:
    with Client(shared_service.url, shared_service.token) as client:
        yield client


def test_values_go_through_a_diamond_of_functions_and_a_process(client: Client, jobs: Path) -> None:
    flow = Workflow("diamond", parameters={"count": 5})
    split = flow.stage(
        "split", function="jobs:split", directory=str(jobs), arguments=[flow.parameter("count")]
    )
    work = flow.stage("work", function="jobs:work", directory=str(jobs), each=split.value("parts"))
    total = flow.stage("total", function="jobs:total", directory=str(jobs), arguments=[work.outputs])
    shell = 'echo "{\\"from\\": \\"process\\", \\"sum\\": $1}" > $TRAINMASTER_OUTPUT'
    say = flow.stage("say", command=["sh", "-c", shell, "sh", total.output], cpus=0.1)
    flow.output("said", say.output)
    run = client.wait_workflow_run(client.run_workflow(flow, {"count": 4}).id, timeout=60)
    assert run.ok, run.reason
    assert run.outputs == {"said": {"from": "process", "sum": 14}}
    assert run.counts == {"SUCCEEDED": 4}
    detail = client.workflow_stage(run.id, "work")
    assert [(part.key, part.result) for part in detail.tasks] == [("0", 0), ("1", 1), ("2", 4), ("3", 9)]
    assert [stage.name for stage in client.workflow_stages(run.id)] == ["split", "work", "total", "say"]


def test_shards_broadcast_and_tasks_that_emit_tasks(client: Client, jobs: Path) -> None:
    common: dict[str, Any] = {"directory": str(jobs)}
    flow = Workflow("many")
    shards = flow.stage("shards", function="jobs:place", shards=3, **common)
    everywhere = flow.stage("everywhere", function="jobs:where", broadcast=True, **common)
    walk = flow.stage("walk", function="jobs:walk", emits=True, **common)
    total = flow.stage("total", function="jobs:total", arguments=[walk.outputs], **common)
    for name, stage in (("shards", shards), ("nodes", everywhere), ("total", total)):
        flow.output(name, stage.output)
    run = client.wait_workflow_run(client.run_workflow(flow).id, timeout=60)
    assert run.ok, run.reason
    assert run.outputs["shards"] == [[0, 3], [1, 3], [2, 3]]
    assert run.outputs["nodes"] == ["node-1", "node-2", "node-3", "node-4"]
    assert run.outputs["total"] == 3 + 2 * 2 + 4 * 1


def test_versions_and_a_run_that_keeps_its_own(client: Client) -> None:
    def write(seconds: str) -> Workflow:
        flow = Workflow("versioned")
        flow.stage("a", command=["sleep", seconds], cpus=0.1)
        return flow

    first = client.define_workflow(write("0.5"))
    run = client.run_workflow("versioned")
    assert client.define_workflow(write("0.5")).version == first.version == 1
    assert client.define_workflow(write("0.1")).version == 2
    assert client.wait_workflow_run(run.id, timeout=30).version == 1
    assert [row.version for row in client.workflow_versions("versioned")] == [2, 1]
    assert client.workflow("versioned", 1).stages[0].what == "sleep 0.5"


def test_resume_and_cancel(client: Client, jobs: Path, tmp_path: Path) -> None:
    flow = Workflow("mended")
    folder = {"folder": str(tmp_path)}
    first = flow.stage(
        "first", function="jobs:mark", directory=str(jobs), arguments={**folder, "name": "one"}
    )
    flaky = flow.stage("flaky", function="jobs:flaky", directory=str(jobs), arguments=folder, after=[first])
    flow.stage("last", function="jobs:mark", directory=str(jobs), arguments={**folder, "name": flaky.output})
    run = client.wait_workflow_run(client.run_workflow(flow).id, timeout=60)
    assert (run.state, run.counts) == ("FAILED", {"SUCCEEDED": 1, "FAILED": 1, "SKIPPED": 1})
    stages = {stage.name: stage.why for stage in client.workflow_stages(run.id)}
    assert stages["last"] == "it runs when all before it succeed; flaky failed"
    (tmp_path / "mended").touch()
    again = client.wait_workflow_run(client.resume_workflow_run(run.id).id, timeout=60)
    assert (again.state, again.round) == ("SUCCEEDED", 1), again.reason
    assert (tmp_path / "ran").read_text() == "one\nfine\n"
    with pytest.raises(errors.NotResumable):
        client.resume_workflow_run(run.id)
    with pytest.raises(errors.WorkflowRunEnded):
        client.cancel_workflow_run(run.id)
    long = Workflow("long")
    long.stage("sleep", command=["sleep", "60"], cpus=0.1)
    long.stage("never", command=["true"], cpus=0.1, after=["sleep"])
    run = client.run_workflow(long)
    client.cancel_workflow_run(run.id)
    run = client.wait_workflow_run(run.id, timeout=30)
    assert (run.state, run.counts) == ("CANCELLED", {"CANCELLED": 2})


STAGE = {"command": ["true"]}


@pytest.mark.parametrize(
    ("definition", "code", "words"),
    [
        ({"stages": {}}, "invalid-request", "stages"),
        (
            {"stages": {"a": {**STAGE, "after": ["b"]}, "b": {**STAGE, "after": ["a"]}}},
            "cyclic-workflow",
            "a → b → a",
        ),
        ({"stages": {"a": {**STAGE, "after": ["b"]}}}, "unknown-stage", "'b'"),
        ({"stages": {"load": STAGE, "b": {**STAGE, "after": ["lod"]}}}, "unknown-stage", "did you mean load"),
        ({"stages": {"a": {**STAGE, "prioritee": 1}}}, "invalid-request", "did you mean 'priority'"),
        ({"stages": {"a": {"command": ["echo", "${{ params.x }}"]}}}, "invalid-workflow", "no parameter 'x'"),
        (
            {"stages": {"a": {"command": ["echo", "${{ 1 + 1 }}"]}}},
            "invalid-workflow",
            "is not an expression",
        ),
        (
            {"stages": {"a": STAGE, "b": {"command": ["echo", "${{ stages.a.output }}"]}}},
            "invalid-workflow",
            "need not have ended",
        ),
        ({"stages": {"a": {}}}, "invalid-workflow", "needs a command"),
        ({"stages": {"a b": STAGE}}, "invalid-workflow", "is no name"),
        ({"stages": {"a": {**STAGE, "shards": 2_000_000}}}, "too-many-parts", "2000000"),
        ({"stages": {"a": {**STAGE, "each": [1], "shards": 2}}}, "invalid-workflow", "more than one of"),
        ({"stages": {"a": {**STAGE, "timeout": "soon"}}}, "invalid-workflow", "timeout"),
        ({"stages": {"a": {"workflow": "nowhere"}}}, "unknown-workflow", "nowhere"),
        (
            {"stages": {"a": STAGE}, "parameters": {"n": {"type": "int"}}},
            "invalid-workflow",
            "'int' is not a type",
        ),
        ({"stages": {"a": {"image": "x", "volumes": ["/etc:/etc"]}}}, "invalid-task", "outside the folders"),
    ],
)
def test_a_workflow_that_cannot_be_right_is_refused_with_a_remedy(
    shared_service: Live, definition: dict[str, Any], code: str, words: str
) -> None:
    with shared_service.client() as http:
        problem = http.post("/v1/workflows", json={"name": "bad", **definition}).json()
        assert problem["code"] == code and words in problem["detail"] and problem["remedy"], problem
        assert http.get("/v1/workflows/bad").json()["code"] == "unknown-workflow"


def test_parameters_of_the_wrong_type_are_refused(client: Client) -> None:
    flow = Workflow("typed", parameters={"count": 1, "day": {"type": "string"}})
    flow.stage("a", command=["true"], cpus=0.1)
    client.define_workflow(flow)
    for given, words in (
        ({"count": "many", "day": "mon"}, "count must be of type integer"),
        ({"count": 2}, "day is missing"),
        ({"day": "mon", "cuont": 2}, "did you mean count"),
    ):
        with pytest.raises(errors.WrongParameter, match=words) as caught:
            client.run_workflow("typed", given)
        assert caught.value.remedy
    with pytest.raises(errors.UnknownWorkflow):
        client.run_workflow("nothing")
    assert list(client.workflow_runs("typed")) == []


def test_the_same_key_runs_once(client: Client) -> None:
    flow = Workflow("keyed", parameters={"n": 1})
    flow.stage("a", command=["true"], cpus=0.1)
    client.define_workflow(flow)
    first = client.run_workflow("keyed", idempotency_key="once")
    assert client.run_workflow("keyed", idempotency_key="once").id == first.id
    with pytest.raises(errors.IdempotencyConflict):
        client.run_workflow("keyed", {"n": 2}, idempotency_key="once")


async def test_the_async_client_does_the_same(shared_service: Live) -> None:
    flow = Workflow("async")
    flow.stage("a", command=["true"], cpus=0.1)
    async with AsyncClient(shared_service.url, shared_service.token) as client:
        run = await client.run_workflow(flow)
        assert (await client.wait_workflow_run(run.id, timeout=30)).ok
        assert [stage.name async for stage in client.workflow_stages(run.id)] == ["a"]
        assert (await client.workflow_stage(run.id, "a")).tasks[0].state == "SUCCEEDED"
        assert [found.id async for found in client.workflow_runs("async")] == [run.id]


def test_from_the_command_line(shared_service: Live, jobs: Path) -> None:
    def trainmaster(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(SOURCE), "TRAINMASTER_TOKEN": shared_service.token}
        command = [sys.executable, "-m", "trainmaster.cli.main", "--url", shared_service.url, *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=jobs, env=environment, timeout=60)

    (jobs / "squares.yaml").write_text(
        """
parameters:
  count: 3
stages:
  split:
    function: jobs:split
    arguments: ["${{ params.count }}"]
  work:
    function: jobs:work
    each: ${{ stages.split.output.parts }}
    after: [split]
  total:
    function: jobs:total
    arguments: ["${{ stages.work.outputs }}"]
    after: [work]
outputs:
  total: ${{ stages.total.output }}
"""
    )
    done = trainmaster("workflow", "run", "squares.yaml", "-p", "count=4", "--wait", "--json")
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert run["outputs"] == {"total": 14} and run["workflow"] == "squares"
    shown = trainmaster("workflow", "show", run["id"]).stdout
    assert "SUCCEEDED" in shown and "4/4" in shown
    assert "← split" in trainmaster("workflow", "graph", "squares").stdout
    assert run["id"] in trainmaster("workflow", "list", "squares").stdout
    assert json.loads(trainmaster("workflow", "versions", "squares", "--json").stdout)[0]["version"] == 1
    assert "[split]" not in trainmaster("workflow", "show", run["id"], "work").stdout
    refused = trainmaster("workflow", "run", "squares", "-p", "count=many")
    assert refused.returncode == 2 and "must be of type integer" in refused.stderr
    (jobs / "flow.py").write_text(
        "from trainmaster.client import Workflow\n"
        'flow = Workflow("from-python")\n'
        'flow.stage("fail", command=["false"], cpus=0.1)\n'
    )
    line = "test $TRAINMASTER_SHARD -lt $TRAINMASTER_SHARDS && test $TRAINMASTER_SHARDS -eq 3"
    parts = trainmaster(
        "submit", "--name", "in parts", "--shards", "3", "--cpus", "0.1", "--wait", "--", "sh", "-c", line
    )
    assert parts.returncode == 0 and "3 shards" in parts.stdout and "in-parts" in parts.stdout, parts.stderr
    everywhere = trainmaster("submit", "--broadcast", "--cpus", "0.1", "--wait", "--json", "--", "true")
    assert json.loads(everywhere.stdout)["counts"] == {"SUCCEEDED": 1}, everywhere.stderr
    later = trainmaster("submit", "--shards", "2", "--at", "1h", "--", "true")
    assert later.returncode == 2 and "a task in parts cannot have it" in later.stderr
    failed = trainmaster("workflow", "run", "flow.py", "--wait")
    assert failed.returncode == 1 and "stage fail failed" in failed.stdout, failed.stderr


@pytest.mark.timeout(240)
def test_killed_in_the_middle_it_goes_on_and_nothing_runs_twice(tmp_path: Path, jobs: Path) -> None:
    flow = Workflow("durable")
    common = {"function": "jobs:mark", "directory": str(jobs)}
    argument: dict[str, Any] = {"folder": str(tmp_path), "seconds": 0.05}
    before: list[Any] = []
    for row in range(6):
        before = [
            flow.stage(f"s{row}-{n}", arguments={**argument, "name": f"s{row}-{n}"}, after=before, **common)
            for n in range(4)
        ]
    flow.stage(
        "each", each=list(range(8)), arguments={**argument, "name": "e${{ item }}"}, after=before, **common
    )
    service = Live(tmp_path / "data", nodes=2, leave_running=False)
    service.start(within_s=60)
    try:
        with Client(service.url, service.token) as client:
            run = client.run_workflow(flow)
        ran = tmp_path / "ran"
        for lines in (6, 24):
            wait_until(lambda: ran.exists() and len(ran.read_text().split()) >= lines, f"{lines} tasks ran")  # noqa: B023
            service.kill()
            service.start(within_s=60)
        with Client(service.url, service.token) as client:
            ended = client.wait_workflow_run(run.id, timeout=60)
            assert ended.ok, ended.reason
            assert ended.counts == {"SUCCEEDED": 25}
            tasks = [task for task in client.tasks() if task.state == "SUCCEEDED"]
        names = [f"s{row}-{n}" for row in range(6) for n in range(4)] + [f"e{n}" for n in range(8)]
        assert sorted(task.result for task in tasks) == sorted(names), "every task succeeded exactly once"
        told = ran.read_text().split()
        assert sorted(told) == sorted(names), "and ran once"
        assert [told.index(f"s{row}-0") for row in range(6)] == sorted(
            told.index(f"s{row}-0") for row in range(6)
        )
    finally:
        if service.up:
            service.stop()


@pytest.mark.timeout(300)
def test_a_plan_is_made_of_known_durations_followed_and_held_against_what_became_of_it(
    client: Client,
) -> None:
    flow = Workflow("planned", plan="heft")
    first = flow.stage("first", command=["sleep", "0.05"], cpus=1)
    wide = flow.stage("wide", command=["sleep", "0.1"], cpus=1, shards=4, after=[first])
    flow.stage("last", command=["sleep", "0.05"], cpus=1, after=[wide])
    client.use_profile("planned")
    try:
        run = client.run_workflow(flow)
        assert run.reason == "planning" and run.begun_at is None
        ended = client.wait_workflow_run(run.id, timeout=60)
        assert ended.ok
        assert ended.reason == "every stage is done" and not ended.planned  # durations were not known yet
        assert client.run_workflow(flow).reason == "planning"

        def begun() -> WorkflowRun | None:
            latest = next(client.workflow_runs("planned", limit=1))
            return latest if latest.begun_at is not None else None

        again = wait_until(begun, "the plan is made", 240)
        assert again.reason == "planned by heft"
        assert again.forecast_s is not None and again.forecast_s >= 0.199  # a sum
        ended = client.wait_workflow_run(again.id, timeout=60)
        assert ended.ok, ended.reason
        report = client.workflow_plan(again.id)
        planned = {row.part: row.planned_node for row in report.parts}
        assert sorted(planned) == ["first", "last", "wide[0]", "wide[1]", "wide[2]", "wide[3]"]
        assert len({planned[f"wide[{n}]"] for n in range(4)}) == 4, "one on each of four nodes"
        assert report.on_planned_node == 1.0
        assert report.took_s is not None and report.stray_s is not None
        assert all(row.start_s is not None and row.node == row.planned_node for row in report.parts)
    finally:
        client.use_profile("default")
    with pytest.raises(errors.InvalidWorkflow, match="no algorithm 'best'"):
        bad = Workflow("unplannable", plan="best")
        bad.stage("a", command=["true"])
        client.define_workflow(bad)


def test_output_that_cannot_be_read_fails_the_task(client: Client) -> None:
    flow = Workflow("garbled")
    say = "echo 'not JSON' > $TRAINMASTER_OUTPUT"
    flow.stage("say", command=["sh", "-c", say], cpus=0.1)
    run = client.wait_workflow_run(client.run_workflow(flow).id, timeout=60)
    (task,) = client.workflow_stage(run.id, "say").tasks
    assert run.state == "FAILED"
    assert "bad output: what it wrote to TRAINMASTER_OUTPUT" in client.task(task.id).reason
