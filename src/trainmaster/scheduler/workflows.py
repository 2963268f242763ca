"""Workflow runs in the scheduler: submit what is due, take in what has ended, end the run.

Runs of one step are looked at after all its events, so that however many tasks end together each run goes on
once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from trainmaster.domain.cluster import NodeState
from trainmaster.domain.commands import MakePlan
from trainmaster.domain.errors import InvalidWorkflow, TrainmasterError, ValueTooLarge, WorkflowRunEnded
from trainmaster.domain.events import TaskSubmitted, WorkflowCancelRequested, WorkflowOpened, WorkflowPlanned
from trainmaster.domain.history import RecordKind
from trainmaster.domain.ids import NodeId, TaskId, WorkflowRunId, task_id, workflow_run_id
from trainmaster.domain.lifecycle import Move, TaskState
from trainmaster.domain.replacing import replacer
from trainmaster.domain.task import Part, Planned, Task, TaskKind, TaskSpec, validate
from trainmaster.domain.template import Path, fill, fill_text
from trainmaster.domain.workflow import MAX_DEPTH, MAX_VALUE_BYTES, Graph, Stage, with_defaults
from trainmaster.domain.workflow_run import PartEnd, StageState, WorkflowRun, WorkflowState
from trainmaster.scheduler.attempts import cancel, finish
from trainmaster.scheduler.state import Change
from trainmaster.scheduler.timers import Timer, TimerKind
from trainmaster.scheduler.unfolding import Hold, Order, Unfolding, nested_too_deeply

Submit = Callable[[Change, TaskSubmitted], None]

_STATES = {
    TaskState.SUCCEEDED: StageState.SUCCEEDED,
    TaskState.FAILED: StageState.FAILED,
    TaskState.CANCELLED: StageState.CANCELLED,
}
_RUN_STATES = {
    WorkflowState.SUCCEEDED: (StageState.SUCCEEDED, RecordKind.WORKFLOW_SUCCEEDED),
    WorkflowState.FAILED: (StageState.FAILED, RecordKind.WORKFLOW_FAILED),
    WorkflowState.CANCELLED: (StageState.CANCELLED, RecordKind.WORKFLOW_CANCELLED),
}


def on_opened(change: Change, event: WorkflowOpened) -> None:
    """A run begins, or goes on after a restart or a resumption (see `WorkflowOpened`)."""
    state, run = change.state, event.run
    if event.fresh:
        open_run(change, run, event.library, f"by {event.by}" if event.by else "")
        return
    unfolding = Unfolding(event.library[run.workflow], run, event.library)
    state.next_run_seq = max(state.next_run_seq, run.seq + 1)
    if event.resumed:
        change.workflow_run(run)
        _record(change, RecordKind.WORKFLOW_RESUMED, run, f"by {event.by}" if event.by else "")
    unfolding.replay(event.recorded)
    if run.stopping:
        unfolding.stop()
    _add(change, unfolding)


def open_run(change: Change, run: WorkflowRun, library: Mapping[str, Graph], reason: str) -> None:
    """Record a run. It begins at once, or when nothing holds it any more."""
    run = replace(run, seq=change.state.next_run_seq, created_at=change.now)
    change.state.next_run_seq += 1
    change.workflow_run(run)
    _record(change, RecordKind.WORKFLOW_STARTED, run, reason)
    _add(change, Unfolding(library[run.workflow], run, library))


def on_planned(change: Change, event: WorkflowPlanned) -> None:
    """A run has the plan it waited for, or will not have one. Late plans change nothing."""
    unfolding = change.state.unfoldings.get(event.run)
    if unfolding is None or Hold.PLAN not in unfolding.holds:
        return
    _put(change, unfolding, plan=event.plan, forecast_s=event.forecast_s, reason=event.reason)
    _let_go(change, unfolding, Hold.PLAN)


def on_run_timer(change: Change, timer: Timer) -> None:
    """Void if the run has been resumed since, or has ended."""
    unfolding = change.state.unfoldings.get(WorkflowRunId(timer.task))
    if unfolding is None or unfolding.run.round != timer.stamp:
        return
    if timer.kind is TimerKind.WORKFLOW_TIME:
        _let_go(change, unfolding, Hold.TIME)
    elif timer.kind is TimerKind.WORKFLOW_TIMEOUT:
        _stop(change, unfolding, "timeout", f"it ran longer than {unfolding.graph.spec.timeout_s or 0.0:g} s")
    elif Hold.PLAN in unfolding.holds:
        patience = change.state.limits.planning_patience_s
        _put(change, unfolding, reason=f"not planned: there was no plan within {patience:g} s")
        _let_go(change, unfolding, Hold.PLAN)


def stop_run(change: Change, run: WorkflowRunId, reason: str) -> None:
    """Cancel a run, if it is live."""
    unfolding = change.state.unfoldings.get(run)
    if unfolding is not None:
        _stop(change, unfolding, "cancel", reason)


def on_workflow_cancel(change: Change, event: WorkflowCancelRequested) -> None:
    unfolding = change.state.unfoldings.get(event.run)
    if unfolding is None:
        raise WorkflowRunEnded(f"{event.run} has ended or never existed", run=event.run)
    _stop(change, unfolding, "cancel", f"cancelled by {event.by}")


def on_node_lost(change: Change, node: NodeId) -> None:
    """A part of a broadcast that waits for a node that is gone would wait for ever: it has failed."""
    for unfolding in change.state.unfoldings.values():
        for stage, at in zip(unfolding.graph.spec.stages, unfolding.stages, strict=True):
            task = change.state.tasks.get(TaskId(at.open.get(node) or "")) if stage.broadcast else None
            if task is not None and task.state in (TaskState.QUEUED, TaskState.INTERRUPTED):
                finish(change, task, Move.FAIL, f"{node}, for which it was meant, is gone")


def advance(change: Change, submit: Submit) -> None:
    """Go on with every run in which something has ended or begun."""
    state = change.state
    while state.parts_ended or state.runs_due:
        for task in state.parts_ended:
            _take_in(change, task)
        state.parts_ended.clear()
        if state.runs_due:
            run_id = next(iter(state.runs_due))
            del state.runs_due[run_id]
            unfolding = state.unfoldings.get(run_id)
            if unfolding is not None:
                _go_on(change, unfolding, submit)


def _add(change: Change, unfolding: Unfolding) -> None:
    run = unfolding.run
    change.state.unfoldings[run.id] = unfolding
    change.state.runs_due[run.id] = None
    if run.trigger:
        change.state.triggers.started(run.trigger, run.id)
    if run.begun_at is not None or run.stopping:
        _limit(change, unfolding)
        return
    if run.start_at is not None and run.start_at > change.now:
        unfolding.holds.add(Hold.TIME)
        _arm(change, unfolding, TimerKind.WORKFLOW_TIME, run.start_at)
    if unfolding.graph.spec.plan and run.parent is None and not run.plan and not run.stopping:
        unfolding.holds.add(Hold.PLAN)
        change.out.commands.append(MakePlan(run.id))
        begin = max(change.now, run.start_at or 0.0)
        _arm(change, unfolding, TimerKind.WORKFLOW_PATIENCE, begin + change.state.limits.planning_patience_s)
    if unfolding.holds:
        _put(change, unfolding, reason=min(unfolding.holds))
    else:
        _begin(change, unfolding)


def _let_go(change: Change, unfolding: Unfolding, hold: Hold) -> None:
    """One thing less to wait for. The run begins with the last."""
    if hold in unfolding.holds:
        unfolding.holds.discard(hold)
        if not unfolding.holds:
            _begin(change, unfolding)
        elif hold is Hold.TIME:
            _put(change, unfolding, reason=Hold.PLAN)


def _begin(change: Change, unfolding: Unfolding) -> None:
    run = unfolding.run
    waited = run.reason in (Hold.TIME, Hold.PLAN)
    _put(change, unfolding, begun_at=change.now, reason="" if waited else run.reason)
    _limit(change, unfolding)
    change.state.runs_due[run.id] = None


def _put(change: Change, unfolding: Unfolding, **changes: Any) -> None:
    unfolding.run = replace(unfolding.run, **changes)
    change.workflow_run(unfolding.run)


def _limit(change: Change, unfolding: Unfolding) -> None:
    """Its timeout: from its beginning, or of a resumed one from now on."""
    run, limit = unfolding.run, unfolding.graph.spec.timeout_s
    if limit is not None:
        began = change.now if run.begun_at is None else run.begun_at
        due = max(began, change.now) + limit if run.round else began + limit
        _arm(change, unfolding, TimerKind.WORKFLOW_TIMEOUT, due)


def _arm(change: Change, unfolding: Unfolding, kind: TimerKind, at: float) -> None:
    run = unfolding.run
    change.state.timers.set(Timer(at, kind, TaskId(run.id), run.round))


def _take_in(change: Change, task: Task) -> None:
    part = task.spec.part
    unfolding = change.state.unfoldings.get(part.run) if part is not None else None
    if part is None or unfolding is None:
        return
    state, result = _STATES[task.state], task.result
    unfolding.part_ended(PartEnd(part, task.id, state, result, task.first_started_at, task.ended_at))
    change.state.runs_due[part.run] = None


def _go_on(change: Change, unfolding: Unfolding, submit: Submit) -> None:
    state = change.state
    if not (unfolding.run.stopping or unfolding.holds):
        nodes = [node.id for node in state.nodes.values() if node.state is NodeState.UP]
        for order in unfolding.take(state.limits.open_parts, nodes):
            _submit(change, unfolding, order, submit)
    if unfolding.finished:
        _over(change, unfolding)


def _submit(change: Change, unfolding: Unfolding, order: Order, submit: Submit) -> None:
    run, stage = unfolding.run, unfolding.stage(order.stage)
    part = Part(run.id, stage.name, order.key, run.round, order.place, order.total)
    try:
        if order.error is not None:
            raise order.error
        if stage.workflow:
            _open_child(change, unfolding, stage, part, order)
            return
        new = task_id(_entropy(part))
        submit(change, TaskSubmitted(new, _spec(unfolding, stage, part, order, change.now)))
        unfolding.submitted(order, new)
    except TrainmasterError as error:
        _fail(change, unfolding, stage, part, order, error)
    except RecursionError:
        _fail(change, unfolding, stage, part, order, nested_too_deeply())


def _fail(
    change: Change, unfolding: Unfolding, stage: Stage, part: Part, order: Order, error: TrainmasterError
) -> None:
    """A part that cannot be submitted: a task that has failed stands for it, so that the reason is kept."""
    new = task_id(_entropy(part))
    template = stage.task or TaskSpec(stage.name, TaskKind.FUNCTION, function=f"workflow:{stage.workflow}")
    spec = respec(template, name=_name(stage, part), user=unfolding.run.owner, part=part, after=())
    task = Task(
        id=new,
        seq=change.state.next_seq,
        spec=spec,
        state=TaskState.QUEUED,
        submitted_at=change.now,
        urgency=spec.urgency,
        priority=spec.priority,
    )
    change.state.next_seq += 1
    change.out.new_tasks.add(new)
    change.record(RecordKind.TASK_SUBMITTED, task, reason=f"for {part.run}")
    unfolding.submitted(order, new)
    finish(change, task, Move.FAIL, f"{error.code}: {error.message}")


def _open_child(change: Change, unfolding: Unfolding, stage: Stage, part: Part, order: Order) -> None:
    """Run another workflow as a part of this run, at the version this run was pinned to."""
    parent = unfolding.run
    if parent.depth >= MAX_DEPTH:
        raise InvalidWorkflow(
            f"workflows are nested more than {MAX_DEPTH} deep", remedy="look for one that contains itself",
            field=stage.name,
        )  # fmt: skip
    graph = unfolding.library[stage.workflow]
    given = fill(json.loads(stage.parameters), lambda path: unfolding.values(path, order))
    parameters = json.dumps(with_defaults(graph.spec, given))
    run = WorkflowRun(
        id=workflow_run_id(_entropy(part)),
        seq=0,
        workflow=stage.workflow,
        version=dict(parent.pins)[stage.workflow],
        owner=parent.owner,
        created_at=change.now,
        parameters=parameters,
        pins=parent.pins,
        parent=part,
        depth=parent.depth + 1,
    )
    unfolding.submitted(order, run.id)
    open_run(change, run, unfolding.library, f"by {parent.id}")


def _stop(change: Change, unfolding: Unfolding, why: str, reason: str) -> None:
    if unfolding.run.stopping:
        return
    _put(change, unfolding, stopping=why, reason=reason)
    run = unfolding.run
    _record(change, RecordKind.WORKFLOW_STOPPING, run, reason, why=why)
    unfolding.holds.clear()
    unfolding.stop()
    for at in unfolding.stages:
        for open_ in list(at.open.values()):
            child = change.state.unfoldings.get(WorkflowRunId(open_ or ""))
            if child is not None:
                _stop(change, child, "cancel", f"{run.id} was stopped: {reason}")
            elif (task := change.state.tasks.get(TaskId(open_ or ""))) is not None:
                cancel(change, task, reason)
    change.state.runs_due[run.id] = None


def _over(change: Change, unfolding: Unfolding) -> None:
    """Every stage has ended, and so has the run."""
    state, outputs, reason = _verdict(unfolding)
    run = unfolding.run = replace(
        unfolding.run,
        state=state,
        stopping="",
        outputs=outputs,
        ended_at=change.now,
        reason=reason,
        stages=unfolding.letters(),
    )
    del change.state.unfoldings[run.id]
    change.workflow_run(run)
    stage_state, kind = _RUN_STATES[state]
    _record(change, kind, run, reason)
    if run.trigger:
        change.run_of_firing_over(run)
    parent = change.state.unfoldings.get(run.parent.run) if run.parent is not None else None
    if run.parent is not None and parent is not None:
        result = outputs if unfolding.graph.spec.outputs else None
        parent.part_ended(PartEnd(run.parent, run.id, stage_state, result, run.created_at, change.now))
        change.state.runs_due[parent.run.id] = None


def _verdict(unfolding: Unfolding) -> tuple[WorkflowState, str, str]:
    """State, outputs and reason. What is to be handed on must be there, or the run has failed."""
    run, spec = unfolding.run, unfolding.graph.spec
    if run.stopping:
        state = WorkflowState.FAILED if run.stopping == "timeout" else WorkflowState.CANCELLED
        return state, "{}", run.reason
    for stage, at in zip(spec.stages, unfolding.stages, strict=True):
        if at.state in (StageState.FAILED, StageState.CANCELLED) and not stage.allow_failure:
            return WorkflowState.FAILED, "{}", f"stage {stage.name} failed: {at.reason}"
    try:
        outputs = {name: fill(json.loads(text), unfolding.values) for name, text in spec.outputs}
        return WorkflowState.SUCCEEDED, _bounded(outputs, "what the workflow hands on"), "every stage is done"
    except TrainmasterError as error:
        return WorkflowState.FAILED, "{}", f"its outputs: {error.message}"
    except RecursionError:
        return WorkflowState.FAILED, "{}", "its outputs are nested too deeply"


def _record(change: Change, kind: RecordKind, run: WorkflowRun, reason: str, **detail: str) -> None:
    told = {"run": run.id, "workflow": run.workflow, "version": run.version, "user": run.owner, **detail}
    change.record(kind, None, None, reason, **told)


# --- the task of a part ------------------------------------------------------------------------------------


def _spec(unfolding: Unfolding, stage: Stage, part: Part, order: Order, now: float) -> TaskSpec:
    """The task of one part. Raises MissingValue, ValueTooLarge, and InvalidTask for what it comes to."""
    spec, run = stage.task, unfolding.run
    assert spec is not None
    changes: dict[str, Any] = {"user": run.owner, "part": part, "name": _name(stage, part)}
    if stage.broadcast:
        changes["node_labels"] = (*spec.node_labels, ("node", part.key))
    if spec.kind is TaskKind.FUNCTION and spec.arguments == "null" and order.item is not None:
        changes["arguments"] = json.dumps([order.item])
    if unfolding.graph.given[order.stage]:
        changes |= _filled(spec, lambda path: unfolding.values(path, order))
    planned = run.plan.get(stage.name if not part.key else f"{stage.name}[{part.key}]")
    if planned is not None:
        # Planned from the run's beginning; the ordering counts from the submission.
        start = max((run.begun_at or now) + planned.start_s - now, 0.0)
        changes["planned"] = Planned(NodeId(planned.node), planned.position, start)
    made = respec(spec, **changes)
    if unfolding.graph.given[order.stage] or "arguments" in changes:
        _bounded_text(made.arguments, f"what stage {stage.name} is given")
        validate(made)
    return made


def _filled(spec: TaskSpec, lookup: Callable[[Path], Any]) -> dict[str, Any]:
    arguments = spec.arguments
    if "${{" in arguments:
        arguments = json.dumps(fill(json.loads(arguments), lookup))
    return {
        "command": tuple(fill_text(word, lookup) for word in spec.command),
        "function": fill_text(spec.function, lookup),
        "arguments": arguments,
        "image": fill_text(spec.image, lookup),
        "directory": fill_text(spec.directory, lookup),
        "environment": tuple((name, fill_text(value, lookup)) for name, value in spec.environment),
    }


def _name(stage: Stage, part: Part) -> str:
    return f"{stage.name}[{part.key}]"[:200] if part.key else stage.name


def _bounded(value: Any, what: str) -> str:
    return _bounded_text(json.dumps(value, separators=(",", ":")), what)


def _bounded_text(text: str, what: str) -> str:
    if len(text) > MAX_VALUE_BYTES:
        raise ValueTooLarge(f"{what} has {len(text)} bytes of JSON, more than {MAX_VALUE_BYTES}")
    return text


def _entropy(part: Part) -> int:
    """Ids follow from what they are for: a part decided on twice is one task."""
    text = f"{part.run}/{part.stage}/{part.key}/{part.round}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


# A task's description with some fields changed.
respec = replacer(TaskSpec)
