"""Random workflows with random failures, restarts and resumptions: every task once, in order, as its
condition says; checked against a slow and obvious account of what should have run."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.flows import ME, Flows, stage, workflow
from trainmaster.domain.events import WorkflowOpened
from trainmaster.domain.ids import WorkflowRunId
from trainmaster.domain.workflow import When, WorkflowSpec, validate
from trainmaster.domain.workflow_run import WorkflowState
from trainmaster.scheduler.unfolding import resumed


@st.composite
def graphs(draw: st.DrawFn) -> tuple[WorkflowSpec, dict[str, int], dict[str, bool]]:
    """A workflow, the number of parts of each stage, and which stages fail in the first round."""
    count = draw(st.integers(1, 9))
    stages, parts, fails = [], {}, {}
    for number in range(count):
        name = f"s{number}"
        after = [f"s{n}" for n in range(number) if draw(st.integers(0, 2)) == 0]
        kind = draw(st.sampled_from(["one", "one", "each", "shards", "none"]))
        parts[name] = {"one": 1, "none": 0}.get(kind, draw(st.integers(1, 4)))
        fails[name] = parts[name] > 0 and draw(st.integers(0, 3)) == 0
        fields: dict[str, Any] = {"when": draw(st.sampled_from(When))}
        if kind == "shards":
            fields["shards"] = parts[name]
        elif kind != "one":
            fields["each"] = list(range(parts[name]))
            fields["at_once"] = draw(st.none() | st.integers(1, 2))
        stages.append(stage(name, *after, **fields))
    return workflow(*stages), parts, fails


def expected(flow: WorkflowSpec, fails: dict[str, bool]) -> str:
    """How the stages end, by the words of the definition."""
    ends: dict[str, str] = {}
    tainted: dict[str, bool] = {}
    for one in flow.stages:
        before = [ends[name] for name in one.after]
        bad = any(ends[name] == "f" or tainted[name] for name in one.after)
        runs = {
            When.ALL: all(end == "s" for end in before),
            When.ANY: "s" in before,
            When.FAILED: bad,
            When.ALWAYS: True,
        }[one.when]
        if not one.after:
            runs = True
        ends[one.name] = ("f" if fails[one.name] else "s") if runs else "x"
        tainted[one.name] = not runs and bad
    return "".join(ends[one.name] for one in flow.stages)


def restart(flows: Flows, flow: WorkflowSpec, run: WorkflowRunId) -> None:
    """The service is gone and comes back: the run is told again from what is stored, and is the same."""
    before = flows.unfolding(run)
    letters, opened = before.letters(), {one for at in before.stages for one in at.open.values()}
    del flows.world.state.unfoldings[run]
    flows.do(WorkflowOpened(flows.rows[run], {flow.name: validate(flow)}, flows.recorded(run)))
    after = flows.unfolding(run)
    assert {one for at in after.stages for one in at.open.values()} == opened
    assert after.letters() == letters


@given(graphs(), st.data())
@settings(max_examples=200, deadline=None)
def test_every_task_runs_once_in_order_and_as_its_condition_says(
    drawn: tuple[WorkflowSpec, dict[str, int], dict[str, bool]], data: st.DataObject
) -> None:
    flow, parts, fails = drawn
    flows = Flows()
    run = flows.open(flow)
    order: list[tuple[str, int]] = []  # what ended, and with which code

    def play(failing: dict[str, bool]) -> None:
        for _ in range(10_000):
            if flows.rows[run].ended:
                return
            if data.draw(st.integers(0, 5)) == 0:
                restart(flows, flow, run)
            live = flows.live(run)
            running = sorted(name for name, task in live.items() if task in flows.world.state.runs)
            assert running, "something of a live run can always go on"
            name = data.draw(st.sampled_from(running))
            own = name.partition("[")[0]
            for earlier in flow.stages[flow_at[own]].after:
                # Those before it have ended, unless it needs only one of them.
                if flow.stages[flow_at[own]].when is not When.ANY:
                    assert not any(other.partition("[")[0] == earlier for other in live)
            code = int(failing[own])
            flows.end(name, code=code, run=run)
            order.append((name, code))
        raise AssertionError("it never ends")

    flow_at = {one.name: number for number, one in enumerate(flow.stages)}
    play(fails)
    row = flows.rows[run]
    assert row.stages == expected(flow, fails)
    assert len({name for name, _ in order}) == len(order), "no task ran twice"
    ran = {name.partition("[")[0] for name, _ in order}
    for one, end in zip(flow.stages, row.stages, strict=True):
        assert (one.name in ran) == (end in "sf" and parts[one.name] > 0)
    assert (row.state == WorkflowState.FAILED) == ("f" in row.stages)

    if row.state is WorkflowState.FAILED:
        first = list(order)
        order.clear()
        again = resumed(validate(flow), row, flows.recorded(run))
        library = {flow.name: validate(flow)}
        flows.do(WorkflowOpened(again, library, flows.recorded(run), resumed=True, by=ME))
        play(dict.fromkeys(fails, False))
        row = flows.rows[run]
        assert row.stages == expected(flow, dict.fromkeys(fails, False))
        assert row.state is WorkflowState.SUCCEEDED
        failed = {name for name, code in first if code}
        assert failed - {name for name, _ in order} <= {
            name for name in failed if row.stages[flow_at[name.partition("[")[0]]] == "x"
        }, "what failed is done again, unless its condition no longer holds"
        # What succeeded and comes after nothing that was done again stays as it is.
        again_names = {name.partition("[")[0] for name, _ in order}
        moved: set[str] = set()
        for one in flow.stages:
            redone_before = any(name in moved or name in again_names or fails[name] for name in one.after)
            if redone_before or one.name in again_names or fails[one.name]:
                moved.add(one.name)
        for name, code in first:
            if name.partition("[")[0] not in moved:
                assert (name, code) not in order
