"""What must hold after every step, whatever happened."""

from __future__ import annotations

from collections.abc import Callable

from trainmaster.domain.cluster import NodeState
from trainmaster.domain.errors import InvariantBroken
from trainmaster.domain.firing import Started
from trainmaster.domain.ids import TriggerId
from trainmaster.domain.lifecycle import ENDED, OCCUPYING, WAITING, TaskState
from trainmaster.domain.run import Run
from trainmaster.domain.task import Intent, Task, TaskKind
from trainmaster.scheduler.ends import expected_end
from trainmaster.scheduler.state import State

Must = Callable[[bool, str, object], None]


def check(state: State) -> None:
    """Raise InvariantBroken, naming the rule and the culprit. Looks at everything: for tests and `doctor`."""

    def must(holds: bool, rule: str, culprit: object) -> None:
        if not holds:
            raise InvariantBroken(f"{rule}: {culprit}", rule=rule, culprit=str(culprit))

    for task in state.tasks.values():
        must(task.state not in ENDED, "ended tasks leave the state", task.id)
        live = task.id in state.runs
        must(live == (task.state in OCCUPYING), "exactly occupying tasks have runs", (task.id, task.state))
        if live:
            runs = state.runs[task.id]
            must(any(run.live for run in runs.values()), "an attempt has a live run until it ends", task.id)
            must(
                all(run.id.attempt == task.attempt for run in runs.values()),
                "runs are of the current attempt",
                task.id,
            )
            _workers(must, task, runs)
            if task.intent is not Intent.NONE:
                must(
                    all(run.stopping or not run.live for run in runs.values()),
                    "a task being stopped has all its runs stopping",
                    task.id,
                )
        else:
            must(task.intent is Intent.NONE, "only attempts can be stopped", task.id)
        could_start = task.state in (TaskState.QUEUED, TaskState.INTERRUPTED)
        if task.id in state.ready:
            must(could_start, "only startable tasks are ready", (task.id, task.state))
        elif could_start:
            must(task.not_before > 0, "startable tasks are ready unless backing off", task.id)
        must(
            (task.id in state.waiting.get(task.spec.user, set())) == (task.state in WAITING),
            "the index of waiting tasks is true",
            task.id,
        )
        must(
            (state.active.get(task.id) == task) == (live and task.intent is Intent.NONE),
            "the index of active tasks is true",
            task.id,
        )
        if task.state is TaskState.BLOCKED:
            must(bool(state.missing.get(task.id)), "blocked tasks wait for something", task.id)
        changeable = live and task.intent is Intent.NONE and task.spec.elastic
        must((task.id in state.elastic) == changeable, "the index of elastic tasks is true", task.id)
        told = live and task.intent is not Intent.NONE and task.spec.kind is not TaskKind.FUNCTION
        must((task.id in state.stopping) == told, "the index of stopping tasks is true", task.id)
    for node in state.nodes.values():
        if node.state in (NodeState.UP, NodeState.DRAINING):
            drained = node.id in state.drained
            must(drained == (node.state is NodeState.DRAINING), "exactly drained nodes drain", node.id)
    _triggers(must, state)
    ends = list(state.ends)
    must(ends == sorted(ends), "expected ends are sorted", ends[:3])
    expected = {(e, t.id) for t in state.active.values() if (e := expected_end(t)) is not None}
    must(set(ends) == expected, "every active task with an estimate has its end", len(ends))
    for task_id, wanted in state.restarting.items():
        spec = state.tasks[task_id].spec
        must(spec.min_workers <= wanted <= spec.max_workers, "restarts stay within bounds", (task_id, wanted))
    for task_id in state.ready:
        must(task_id in state.tasks, "ready tasks exist", task_id)
    for node_id, here_runs in state.on_node.items():
        for run_id, run in here_runs.items():
            must(run.live, "only live runs are on nodes", run_id)
            must(state.runs.get(run_id.task, {}).get(run_id.rank) == run, "both indexes agree", run_id)
        here = state.nodes.get(node_id)
        if here is not None:
            must(state.used(node_id).fits(here.capacity), "no node is over-allotted", node_id)
            devices = [device for run in here_runs.values() for device in run.devices]
            must(len(devices) == len(set(devices)), "no GPU is given twice", (node_id, devices))
    _workflows(must, state)
    for run_id in state.ending:
        must(run_id.rank in state.runs.get(run_id.task, {}), "ending runs exist", run_id)
    for task_id, by_rank in state.runs.items():
        for run in by_rank.values():
            listed = run.id in state.on_node.get(run.node, {})
            must(listed == run.live, "live runs are on their node", (task_id, run.id))
            ending = run.live and run.stopping
            must((run.id in state.ending) == ending, "the index of ending runs is true", run.id)


def _triggers(must: Must, state: State) -> None:
    """Time rules: what is due next is on the wheel, and what they started is known."""
    book = state.triggers
    on_wheel = book.on_wheel()
    names = [trigger.name for trigger in book.all.values()]
    must(len(set(names)) == len(names), "no two triggers have one name", names)
    for trigger in book.all.values():
        due = trigger.next_ms is not None and not trigger.paused
        must(not due or trigger.id in on_wheel | book.held, "what is due next is on the wheel", trigger.id)
        after = trigger.next_ms is None or trigger.last_ms is None or trigger.next_ms > trigger.last_ms
        must(after, "no due time is decided on twice", (trigger.id, trigger.last_ms, trigger.next_ms))
        live, waiting = book.live.get(trigger.id, set()), book.waiting.get(trigger.id, [])
        held = not waiting or bool(live) or trigger.paused or trigger.id in book.freed
        must(held, "firings wait for something", (trigger.id, [firing.due_ms for firing in waiting]))
        dues = [firing.due_ms for firing in waiting]
        must(len(set(dues)) == len(dues), "no due time waits twice", (trigger.id, dues))
    started: set[tuple[TriggerId, Started]] = {
        (task.spec.trigger, task.id) for task in state.tasks.values() if task.spec.trigger in book.all
    }
    runs = [unfolding.run for unfolding in state.unfoldings.values()]
    started |= {(run.trigger, run.id) for run in runs if run.trigger in book.all}
    indexed = {(trigger, task) for trigger, tasks in book.live.items() for task in tasks}
    must(indexed == started, "what they started and is live is known", indexed ^ started)


def _workflows(must: Must, state: State) -> None:
    """Between steps every open part is a live task or run, and every live part is open."""
    must(not state.parts_ended and not state.runs_due, "no workflow is due", list(state.runs_due))
    opened = set()
    for run_id, unfolding in state.unfoldings.items():
        unfolding.check()
        must(not unfolding.finished, "a run with every stage ended has ended", run_id)
        begun = unfolding.run.begun_at is not None
        must(begun == (not unfolding.holds), "a run begins once nothing holds it", run_id)
        must(
            begun == (unfolding.open > 0),
            "something of a run that has begun is open, and of no other",
            run_id,
        )
        for at in unfolding.stages:
            for one in at.open.values():
                must(one in state.tasks or one in state.unfoldings, "open parts are live", (run_id, one))
                opened.add(one)
    for task in state.tasks.values():
        if task.spec.part is not None:
            must(task.id in opened, "the run of a live part knows it", task.id)


def _workers(must: Must, task: Task, runs: dict[int, Run]) -> None:
    """The workers of an attempt, counted and named."""
    group = task.group
    if group is None:
        must(sorted(runs) == list(range(task.workers)), "ranks are 0..workers-1", (task.id, sorted(runs)))
        within = task.spec.min_workers <= task.workers <= task.spec.max_workers
        must(within, "worker count within bounds", (task.id, task.workers))
        return
    must(max(runs) < group.next_rank, "no rank is used twice", (task.id, sorted(runs)))
    must(len(set(group.members)) == len(group.members), "nobody is a member twice", (task.id, group.members))
    must(group.joined <= set(group.members), "only members join", (task.id, group))
    must(task.workers <= task.spec.max_workers, "no more workers than allowed", (task.id, task.workers))
    if task.intent is Intent.NONE:
        must(set(group.members) <= set(runs), "members have runs", (task.id, group.members, sorted(runs)))
        staying = [r for r, run in runs.items() if run.live and not run.stopping and r not in group.leaving]
        ended_well = [r for r, run in runs.items() if not run.live and run.exit is not None and run.exit.ok]
        # Once nobody trains any more the attempt is about to end, and is not counted again.
        training = set(group.members) & set(staying) or not group.members
        counted = not training or len(staying) <= task.workers <= len(staying) + len(ended_well)
        must(counted, "workers are those that stay", (task.id, task.workers, sorted(staying)))
