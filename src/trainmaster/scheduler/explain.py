"""Why a task is where it is, answered from the same data the cycle decides on."""

from __future__ import annotations

from dataclasses import dataclass, field

from trainmaster.domain.cluster import NodeState
from trainmaster.domain.ids import TaskId
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.task import Elasticity, Intent, Task, TaskKind
from trainmaster.domain.units import format_duration
from trainmaster.policies.admission import may_start, misfit
from trainmaster.scheduler.elastic import departing
from trainmaster.scheduler.room import Room
from trainmaster.scheduler.state import State

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of an answer: a short topic and a sentence."""

    topic: str
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """`headline` in one sentence, then the facts behind it. `blocking` names what stands in the way."""

    task: TaskId
    state: str
    headline: str
    blocking: str
    facts: list[Fact] = field(default_factory=list)
    position: int | None = None
    ahead: list[TaskId] = field(default_factory=list)


def explain(state: State, task: Task, now: float) -> Explanation:
    """Why the task waits, or why it runs as it does."""
    if task.state is TaskState.BLOCKED:
        return _blocked(state, task, now)
    if task.state in (TaskState.QUEUED, TaskState.INTERRUPTED):
        return _waiting(state, task, now)
    return _running(state, task, now)


def _blocked(state: State, task: Task, now: float) -> Explanation:
    missing = sorted(state.missing.get(task.id, ()))
    facts = [
        Fact("waits", f"{dep} is {state.tasks[dep].state}") for dep in missing[:_SHOWN] if dep in state.tasks
    ]
    headline = f"BLOCKED for {_since(task, now)}: {len(missing)} of {len(task.spec.after)} dependencies open."
    return Explanation(task.id, task.state, headline, "dependencies", facts)


def _waiting(state: State, task: Task, now: float) -> Explanation:
    spec, room = task.spec, Room(state)
    facts = [Fact("needs", _needs(task))]
    if spec.part is not None:
        facts.append(Fact("workflow", f"stage {spec.part.stage} of {spec.part.run}"))
    able = [room.views[at] for at in sorted(room.able(task))]
    fitting = room.fitting(task)
    blocking = "order"
    if not able:
        blocking = "no node"
        for node in list(state.nodes.values())[:_SHOWN]:
            why = misfit(spec, node) if node.state is NodeState.UP else f"is {node.state}"
            facts.append(Fact("never", f"{node.id}: {why}"))
        if not state.nodes:
            facts.append(Fact("nodes", "no node has joined yet"))
    else:
        names = ", ".join(view.id for view in able[:_SHOWN]) + (", …" if len(able) > _SHOWN else "")
        full = "" if fitting else (" (full)" if len(able) == 1 else " (all full)")
        facts.append(Fact("fits on", names + full))
        others = [n for n in state.nodes.values() if misfit(spec, n) is not None]
        if others:
            facts.append(Fact("not on", ", ".join(f"{n.id} ({misfit(spec, n)})" for n in others[:_SHOWN])))
        if not fitting:
            blocking = "resources"
        elif room.places(task) < spec.min_workers:
            blocking = "resources"
            facts.append(
                Fact("room", f"for {room.places(task)} workers now, at least {spec.min_workers} needed")
            )
    quota = state.quotas.get(spec.user)
    running = state.running_workers()[spec.user]
    if quota is not None and not may_start(quota, running, spec.min_workers):
        blocking = "quota"
        facts.append(Fact("quota", f"{spec.user} runs {running} of {quota.running_workers} workers allowed"))
    if task.attempt == 0 and task.not_before > now:
        blocking = "start time"
        begin = spec.start_at or task.not_before
        facts.append(Fact("starts", f"in {format_duration(begin - now)}, as it was asked to"))
    elif task.not_before > now:
        blocking = "back-off"
        facts.append(Fact("back-off", f"{task.reason}; {format_duration(task.not_before - now)} to go"))
    allotment = state.policies.allotment
    if blocking == "order" and (spec.elastic or allotment.suspends) and spec.kind is not TaskKind.FUNCTION:
        if state.deliberation is not None:
            blocking = "allotment"
            facts.append(Fact("allotment", f"{allotment.name} is making up its mind"))
        elif task.pinned is None and state.targets.get(task.id) == 0:
            blocking = "allotment"
            facts.append(Fact("allotment", f"{allotment.name} gave it no workers when it last decided"))
    count, ahead = state.ready.ahead_of(task.id, _SHOWN)
    if count:
        names = ", ".join(f"{other} ({_standing(state.tasks[other])})" for other in ahead)
        more = f" and {count - len(ahead)} more" if count > len(ahead) else ""
        facts.append(Fact("ahead", f"{names}{more}; ordering {state.policies.ordering.name}"))
    elif blocking == "order":
        facts.append(Fact("next", "nothing is ahead of it: it starts with the next cycle"))
    if task.preempting:
        facts.append(Fact("preempts", f"{task.reason}; it starts when they are gone"))
    elif blocking == "resources" and (leaving := _leaving(state)):
        facts.append(Fact("next", f"workers are leaving: {', '.join(leaving[:_SHOWN])}"))
    elif blocking == "resources":
        following = next(((end, other) for end, other in state.ends if end > now), None)
        if following is not None:
            end, other = following
            facts.append(Fact("next", f"{other} should end in {format_duration(end - now)}"))
    position = count + 1 if task.id in state.ready else None
    where = f" (position {position})" if position else ""
    headline = f"{task.state} for {_since(task, now)}{where}: {_WHY[blocking]}."
    return Explanation(task.id, task.state, headline, blocking, facts, position, ahead)


def _leaving(state: State) -> list[str]:
    """Groups that give up workers, with how many."""
    counts = (
        (sum(departing(task, run) for run in state.runs[task.id].values()), task.id)
        for task in state.elastic.values()
    )
    return [f"{count} of {task}" for count, task in counts if count]


_WHY = {
    "order": "others come first",
    "no node": "no node can hold it",
    "resources": "the nodes it fits on are full",
    "allotment": "the allotment policy lets it wait",
    "quota": "its owner's quota is used up",
    "back-off": "it waits before the next attempt",
    "start time": "its time to start has not come",
    "dependencies": "it waits for other tasks",
}


def _running(state: State, task: Task, now: float) -> Explanation:
    runs = state.runs.get(task.id, {})
    facts = []
    if task.reason:
        facts.append(Fact("because", task.reason))
    for run in list(runs.values())[:_SHOWN]:
        gpus = f", GPUs {', '.join(map(str, run.devices))}" if run.devices else ""
        facts.append(Fact(f"worker {run.id.rank}", f"{run.state} on {run.node}{gpus}"))
    if task.spec.start_at is not None and task.spec.start_at > now:
        left = format_duration(task.spec.start_at - now)
        facts.append(Fact("starts", f"in {left}, by the clock of the lane that has it"))
    if task.attempt > 1:
        text = f"{task.failures} failed, {task.losses} lost, {task.interruptions} interrupted before this one"
        facts.append(Fact("attempts", text))
    if task.spec.elastic:
        facts.append(Fact("workers", _worker_count(state, task, now)))
    progress = state.progress.get(task.id)
    if progress is not None:
        # What belongs to single workers ("share/3") is on the task's page.
        told = [(name, value) for name, value in progress.metrics.items() if "/" not in name]
        shown = ", ".join(f"{name} {value:.4g}" for name, value in told[:_SHOWN])
        facts.append(Fact("progress", f"step {progress.step:g}: {shown}"))
    stopping = "" if task.intent is Intent.NONE else f", being stopped ({task.intent})"
    headline = f"{task.state}{stopping} for {format_duration(task.running_s(now))}."
    return Explanation(task.id, task.state, headline, "", facts)


def _worker_count(state: State, task: Task, now: float) -> str:
    """How many, by whom, and what keeps it from being another number."""
    spec, group = task.spec, task.group
    by = "by request" if task.pinned is not None else f"by {state.policies.allotment.name}"
    text = f"{task.workers} of {spec.min_workers} to {spec.max_workers}, {by}"
    learned = state.learned.get(task.id)
    if learned is not None and learned.resized_at is not None:
        text += f"; last changed {format_duration(max(now - learned.resized_at, 0.0))} ago"
    if learned is not None and learned.phase:
        text += (
            f"; it says it is at a {learned.phase}" if learned.phase == "plateau" else "; it has converged"
        )
    if spec.elasticity is Elasticity.NONE:
        text += "; it is never resized"
    elif group is None and spec.elasticity is Elasticity.AUTO:
        text += "; it keeps them, as its workers have formed no group"
    elif group is not None and not group.settled:
        text += f"; generation {group.generation} has not begun on all of them"
    return text


def _needs(task: Task) -> str:
    spec = task.spec
    each = spec.resources.describe()
    kind = ", in a container" if spec.kind is TaskKind.CONTAINER else ""
    if spec.max_workers == 1:
        return f"1 worker with {each}{kind}"
    count = f"{spec.min_workers}" if not spec.elastic else f"{spec.min_workers} to {spec.max_workers}"
    return f"{count} workers with {each} each{kind}"


def _standing(task: Task) -> str:
    if task.state is TaskState.INTERRUPTED:
        return "interrupted"
    return f"{task.urgency.name.lower()} {task.priority:g}"


def _since(task: Task, now: float) -> str:
    start = task.queued_at if task.queued_at is not None else task.submitted_at
    return format_duration(max(now - start, 0.0))
