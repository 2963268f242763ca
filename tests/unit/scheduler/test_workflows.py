"""Workflow runs, step by step: order, conditions, values, parts, workflows inside, cancel, resume."""

from __future__ import annotations

import pytest
from tests.flows import ME, Flows, function, stage, workflow
from tests.scenario import World

from trainmaster.domain.events import (
    CancelRequested,
    DrainRequested,
    NodeVanished,
    WorkflowCancelRequested,
    WorkflowOpened,
)
from trainmaster.domain.ids import NodeId
from trainmaster.domain.run import Exit, RunState
from trainmaster.domain.task import Retry
from trainmaster.domain.units import Resources
from trainmaster.domain.workflow import validate
from trainmaster.domain.workflow_run import WorkflowState
from trainmaster.scheduler.explain import explain
from trainmaster.scheduler.explain_stage import explain_stage, letters
from trainmaster.scheduler.unfolding import resumed


def test_a_diamond_runs_in_order_and_ends() -> None:
    flows = Flows()
    run = flows.open(workflow(stage("a"), stage("b", "a"), stage("c", "a"), stage("d", "b", "c")))
    assert set(flows.live()) == {"a"}
    flows.end("a")
    assert set(flows.live()) == {"b", "c"}
    flows.end("c")
    assert set(flows.live()) == {"b"}
    flows.end("b")
    flows.end("d")
    assert not flows.world.state.unfoldings
    row = flows.rows[run]
    assert (row.state, row.stages) == (WorkflowState.SUCCEEDED, "ssss")
    kinds = [record.kind for record in flows.world.history if record.kind.startswith("workflow")]
    assert kinds == ["workflow-started", "workflow-succeeded"]


def test_the_next_task_is_launched_in_the_step_that_ends_the_last() -> None:
    flows = Flows()
    flows.open(workflow(stage("a"), stage("b", "a")))
    flows.end("a")
    assert flows.world.launches[-1].task == flows.live()["b"]


@pytest.mark.parametrize(
    ("when", "codes", "runs"),
    [
        ("all", (0, 0), True),
        ("all", (0, 1), False),
        ("any", (1, 0), True),
        ("any", (1, 1), False),
        ("failed", (0, 1), True),
        ("failed", (0, 0), False),
        ("always", (1, 1), True),
    ],
)
def test_conditions(when: str, codes: tuple[int, int], runs: bool) -> None:
    flows = Flows()
    run = flows.open(workflow(stage("a"), stage("b"), stage("c", "a", "b", when=when)))
    flows.end("a", code=codes[0])
    flows.end("b", code=codes[1])
    assert ("c" in flows.live()) == runs
    flows.finish()
    row = flows.rows[run]
    assert row.stages[2] == ("s" if runs else "x")
    assert row.state == (WorkflowState.FAILED if any(codes) else WorkflowState.SUCCEEDED)


def test_any_does_not_wait_and_a_failure_reaches_the_end_of_a_chain() -> None:
    flows = Flows()
    flows.open(workflow(stage("a"), stage("b"), stage("c", "a", "b", when="any")))
    flows.end("a")
    assert set(flows.live()) == {"b", "c"}
    flows = Flows()
    run = flows.open(
        workflow(stage("a"), stage("b", "a"), stage("c", "b"), stage("tell", "c", when="failed"))
    )
    flows.end("a", code=3)
    assert set(flows.live()) == {"tell"}
    assert flows.unfolding(run).stages[2].reason == "it runs when all before it succeed; b skipped"
    flows.finish()
    assert flows.rows[run].reason.startswith("stage a failed: t-")


def test_an_allowed_failure_does_not_make_the_run_fail() -> None:
    flows = Flows()
    run = flows.open(workflow(stage("a", allow_failure=True), stage("b", "a", when="always")))
    flows.end("a", code=1)
    flows.finish()
    assert (flows.rows[run].state, flows.rows[run].stages) == (WorkflowState.SUCCEEDED, "fs")


def test_values_are_handed_on() -> None:
    flows = Flows()
    run = flows.open(
        workflow(
            stage("a", arguments={"day": "${{ params.day }}", "n": "${{ params.n }}"}),
            stage("b", "a", arguments=["${{ stages.a.output.rows }}", "x${{stages.a.output.rows.0}}y"]),
            parameters={"day": "mon", "n": 3},
            outputs={"last": "${{ stages.b.output }}"},
        ),
        n=4,
    )
    assert flows.argument("a") == {"day": "mon", "n": 4}
    flows.end("a", {"rows": [1, {"k": None}]})
    assert flows.argument("b") == [[1, {"k": None}], "x1y"]
    flows.end("b", "done")
    assert flows.rows[run].outputs == '{"last":"done"}'


def test_a_value_that_is_missing_fails_the_stage_with_its_reason() -> None:
    flows = Flows()
    run = flows.open(workflow(stage("a"), stage("b", "a", arguments=["${{ stages.a.output.rows }}"])))
    flows.end("a", {"lines": 1})
    row = flows.rows[run]
    assert (row.state, row.stages) == (WorkflowState.FAILED, "sf")
    (failed,) = [task for task in flows.world.final.values() if task.spec.name == "b"]
    assert (
        failed.reason
        == "missing-value: ${{ stages.a.output.rows }}: there is no 'rows' in an object with lines"
    )


def test_a_value_nested_too_deeply_fails_the_stage_and_nothing_else() -> None:
    flows = Flows()
    outputs = {"deep": "${{ stages.a.output }}"}
    run = flows.open(workflow(stage("a"), stage("b", "a", each="${{ stages.a.output }}"), outputs=outputs))
    other = flows.open(workflow(stage("x"), name="other"))
    (worker,) = flows.world.state.runs[flows.live(run)["a"]].values()
    deep = Exit(0, result="[" * 9000 + "]" * 9000)
    flows._keep(flows.world.report(worker.id, RunState.EXITED, deep).workflow_runs)
    assert (flows.rows[run].stages, flows.rows[run].state) == ("sf", WorkflowState.FAILED)
    flows.end("x", run=other)
    assert flows.rows[other].state == WorkflowState.SUCCEEDED


def test_a_stage_no_node_can_hold_fails() -> None:
    flows = Flows()
    run = flows.open(
        workflow(stage("a", resources=Resources(lanes=1, gpus=4)), stage("b", "a", when="failed"))
    )
    assert set(flows.live()) == {"b"}
    flows.finish()
    assert "unplaceable" in next(t.reason for t in flows.world.final.values() if t.spec.name == "a")
    assert flows.rows[run].stages == "fs"


def test_a_list_found_at_run_time_and_the_results_in_its_order() -> None:
    flows = Flows()
    run = flows.open(
        workflow(
            stage("split"),
            stage(
                "work", "split", each="${{ stages.split.output }}", arguments=["${{ item }}", "${{ index }}"]
            ),
            stage("merge", "work", arguments=["${{ stages.work.outputs }}"]),
        )
    )
    flows.end("split", ["x", "y", "z"])
    assert flows.argument("work[1]") == ["y", 1]
    for name in ("work[2]", "work[0]", "work[1]"):
        flows.end(name, name)
    assert flows.argument("merge") == [["work[0]", "work[1]", "work[2]"]]
    flows.finish()
    assert flows.rows[run].state == WorkflowState.SUCCEEDED


def test_an_item_is_the_argument_of_a_function_that_names_none_and_no_items_are_no_tasks() -> None:
    flows = Flows()
    run = flows.open(
        workflow(stage("work", each=[5, {"a": 1}]), stage("none", "work", each=[]), stage("end", "none"))
    )
    assert [flows.argument("work[0]"), flows.argument("work[1]")] == [[5], [{"a": 1}]]
    flows.finish()
    assert flows.rows[run].stages == "sss"


def test_too_many_items_are_refused_at_run_time_and_when_written() -> None:
    flows = Flows()
    run = flows.open(workflow(stage("n"), stage("work", "n", shards="${{ stages.n.output }}")))
    flows.end("n", 1_000_001)
    assert flows.rows[run].stages == "sf"
    with pytest.raises(Exception, match="would have 1000001 parts"):
        validate(workflow(stage("work", shards=1_000_001)))


def test_shards_know_their_place_and_are_retried_alone() -> None:
    flows = Flows()
    run = flows.open(workflow(stage("work", shards=3, retry=Retry(attempts=2, backoff_s=0))))
    flows.end("work[1]", code=1)
    flows.world.do(after=1)
    assert flows.world.task(flows.live()["work[1]"]).attempt == 2
    part = flows.world.task(flows.live()["work[2]"]).spec.part
    assert part is not None and (part.index, part.total) == (2, 3)
    flows.finish()
    assert flows.rows[run].state == WorkflowState.SUCCEEDED


def test_a_broadcast_runs_once_on_every_node() -> None:
    lanes = Resources(lanes=4)
    flows = Flows(World({"n1": lanes, "n2": lanes, "n3": lanes}))
    flows.open(workflow(stage("clean", broadcast=True)))
    nodes = {name: flows.world.nodes_of(task) for name, task in flows.live().items()}
    assert nodes == {"clean[n1]": ["n1"], "clean[n2]": ["n2"], "clean[n3]": ["n3"]}


def test_a_part_meant_for_a_node_that_is_gone_fails_instead_of_waiting_for_ever() -> None:
    lanes = Resources(lanes=1)
    flows = Flows(World({"n1": lanes, "n2": lanes}))
    (other,) = flows.world.submit(function("other", node_labels=(("node", "n2"),)))
    run = flows.open(workflow(stage("clean", broadcast=True), stage("tell", "clean", when="failed")))
    assert flows.world.task(flows.live()["clean[n2]"]).state == "QUEUED", "n2 is full"
    told = explain(flows.world.state, flows.world.task(flows.live()["clean[n2]"]), flows.world.now)
    assert any(fact.text == f"stage clean of {run}" for fact in told.facts)
    del flows.world.held[flows.world.state.runs[other][0].id]
    flows.do(NodeVanished(NodeId("n2")))
    assert set(flows.live()) == {"clean[n1]"}
    flows.end("clean[n1]")
    assert set(flows.live()) == {"tell"}
    (failed,) = [task for task in flows.world.final.values() if task.state == "FAILED"]
    assert failed.reason == "n2, for which it was meant, is gone"


def test_tasks_emit_tasks_and_a_reducer_runs_after_all() -> None:
    flows = Flows()
    run = flows.open(
        workflow(stage("walk", emits=True), stage("reduce", "walk", arguments=["${{ stages.walk.outputs }}"]))
    )
    assert flows.argument("walk") is None
    flows.end("walk", {"emit": ["a", "b"], "output": 0})
    assert flows.argument("walk[1]") == ["b"]
    flows.end("walk[1]", {"emit": ["ba"], "output": 2})
    flows.end("walk[0]", 1)
    assert set(flows.live()) == {"walk[1.0]"}
    flows.end("walk[1.0]", 3)
    assert flows.argument("reduce") == [[0, 1, 2, 3]]
    flows.finish()
    assert flows.rows[run].state == WorkflowState.SUCCEEDED


def test_at_most_so_many_at_once() -> None:
    flows = Flows()
    flows.open(workflow(stage("work", shards=5, at_once=2)))
    assert set(flows.live()) == {"work[0]", "work[1]"}
    flows.end("work[0]")
    assert set(flows.live()) == {"work[1]", "work[2]"}


def test_a_workflow_inside_another_hands_its_outputs_on() -> None:
    inner = workflow(
        stage("x", arguments=["${{ params.p }}"]),
        name="inner",
        parameters={"p": 1},
        outputs={"y": "${{ stages.x.output }}"},
    )
    flows = Flows(None, inner)
    run = flows.open(
        workflow(
            stage("sub", each=[7, 8], workflow="inner", parameters={"p": "${{ item }}"}),
            stage("end", "sub", arguments=["${{ stages.sub.outputs }}"]),
        )
    )
    children = [row for row in flows.rows.values() if row.parent is not None]
    assert [row.depth for row in children] == [1, 1] and len(flows.world.state.unfoldings) == 3
    for row in children:
        (task,) = flows.live(row.id).values()
        flows.end_task(task, row.parameters)
    assert flows.argument("end") == [[{"y": '{"p": 7}'}, {"y": '{"p": 8}'}]]
    flows.finish()
    assert flows.rows[run].state == WorkflowState.SUCCEEDED


def test_a_workflow_that_contains_itself_ends_with_a_reason() -> None:
    loop = workflow(stage("again", workflow="loop"), name="loop")
    flows = Flows(None, loop)
    run = flows.open(loop)
    assert flows.rows[run].state == WorkflowState.FAILED
    assert max(row.depth for row in flows.rows.values()) == 8


def test_cancel_ends_what_runs_and_starts_nothing() -> None:
    inner = workflow(stage("x"), name="inner")
    flows = Flows(None, inner)
    run = flows.open(
        workflow(stage("a"), stage("sub", workflow="inner"), stage("b", "a"), stage("c", "b", when="always"))
    )
    flows.do(WorkflowCancelRequested(run, ME))
    assert flows.rows[run].stopping == "cancel"
    flows.world.obey_stops()
    flows._keep(flows.world.last.workflow_runs)
    assert not flows.world.state.unfoldings and not flows.live()
    assert flows.world.last.workflow_runs[run].state == WorkflowState.CANCELLED
    assert flows.world.last.workflow_runs[run].stages == "cccc"


def test_a_restart_in_the_middle_of_a_cancel_waits_for_what_is_being_ended_and_it_can_be_resumed() -> None:
    flows = Flows()
    flow = workflow(stage("a"), stage("b", "a", shards=2), stage("c", "b"))
    run = flows.open(flow)
    flows.end("a")
    flows.do(WorkflowCancelRequested(run, ME))
    first, second = flows.world.stopped
    flows.world.stopped = [first]
    flows.world.obey_stops()
    library = {flow.name: validate(flow)}
    del flows.world.state.unfoldings[run]
    flows.do(WorkflowOpened(flows.rows[run], library, flows.recorded(run)))
    assert run in flows.world.state.unfoldings, "a task of it may still be alive"
    flows.world.stopped = [second]
    flows.world.obey_stops()
    row = flows.world.last.workflow_runs[run]
    assert (row.state, row.stages) == (WorkflowState.CANCELLED, "scc")
    flows._keep({run: row})
    again = resumed(validate(flow), row, flows.recorded(run))
    flows.do(WorkflowOpened(again, library, flows.recorded(run), resumed=True, by=ME))
    assert set(flows.live()) == {"b[0]", "b[1]"}
    flows.finish()
    assert flows.rows[run].stages == "sss"


def test_a_run_that_takes_too_long_is_ended() -> None:
    flows = Flows()
    run = flows.open(workflow(stage("a"), stage("b", "a"), timeout_s=60.0))
    flows.do(after=61)
    flows.world.obey_stops()
    row = flows.world.last.workflow_runs[run]
    assert (row.state, row.reason) == (WorkflowState.FAILED, "it ran longer than 60 s")


def test_cancelling_one_task_fails_its_stage() -> None:
    flows = Flows()
    run = flows.open(workflow(stage("a"), stage("b", "a", when="failed")))
    flows.do(CancelRequested(flows.live()["a"], ME))
    flows.world.obey_stops()
    assert set(flows.live()) == {"b"}
    flows.finish()
    assert flows.rows[run].stages == "fs"


def test_resume_does_again_what_failed_and_all_that_follows() -> None:
    flows = Flows()
    flow = workflow(
        stage("a"),
        stage("b", "a", each=[1, 2]),
        stage("c", "b"),
        stage("d", "a"),
        stage("clean", "c", when="always"),
    )
    run = flows.open(flow)
    flows.end("a", "first")
    flows.end("d")
    flows.end("b[0]")
    flows.end("b[1]", code=1)
    flows.end("clean")
    row = flows.rows[run]
    assert (row.state, row.stages) == (WorkflowState.FAILED, "sfxss")
    recorded = flows.recorded(run)
    again = resumed(validate(flow), row, recorded)
    flows.do(WorkflowOpened(again, {"flow": validate(flow)}, recorded, resumed=True, by=ME))
    assert set(flows.live()) == {"b[1]"}, "the part that succeeded is not done again"
    flows.end("b[1]")
    assert set(flows.live()) == {"c"}
    flows.end("c")
    assert set(flows.live()) == {"clean"}, "it comes after something that was done again"
    flows.end("clean")
    assert (flows.rows[run].state, flows.rows[run].stages) == (WorkflowState.SUCCEEDED, "sssss")
    assert [t.spec.name for t in flows.world.final.values()].count("a") == 1


def test_a_restart_goes_on_where_it_was() -> None:
    flow = workflow(
        stage("split"),
        stage("work", "split", each="${{ stages.split.output }}", at_once=2),
        stage("end", "work"),
    )
    flows = Flows()
    run = flows.open(flow)
    flows.end("split", [1, 2, 3, 4])
    flows.end("work[1]")
    before = flows.unfolding(run)
    del flows.world.state.unfoldings[run]
    flows.do(WorkflowOpened(flows.rows[run], {"flow": validate(flow)}, flows.recorded(run)))
    after = flows.unfolding(run)
    assert after.letters() == before.letters() == "sr."
    assert after.stages[1].open == before.stages[1].open
    flows.finish()
    assert flows.rows[run].state == WorkflowState.SUCCEEDED
    assert [t.spec.name for t in flows.world.final.values()].count("work[1]") == 1


def test_a_stage_says_why_it_is_where_it_is() -> None:
    flows = Flows()
    run = flows.open(
        workflow(stage("a", at_once=1, shards=3), stage("b", "a"), stage("c", "b", when="always"))
    )
    unfolding, state = flows.unfolding(run), flows.world.state
    assert explain_stage(state, unfolding, 0) == "1 running; 2 not submitted yet, at most 1 at once"
    assert explain_stage(state, unfolding, 1) == "waits for a (RUNNING); it runs when all before it succeed"
    assert letters(state, unfolding) == "r.."
    flows.world.do(DrainRequested(NodeId("n1"), True, ME))
    flows.end("a[0]")
    waiting = flows.live()["a[1]"]
    assert explain_stage(state, unfolding, 0) == (
        f"1 queued: `trainmaster explain {waiting}` says why; 1 not submitted yet, at most 1 at once"
    )
