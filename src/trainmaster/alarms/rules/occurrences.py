"""From lines of history to what rules look for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from trainmaster.domain.alarm import OF_NODES, Condition, Grouping, Happened, Rule

OTHERS = "(others)"  # the group of everything beyond the most groups a rule may have


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something a condition looks for. `clears`: it is the end of it. `value`: compared with the limit."""

    condition: Condition
    time: float
    text: str
    task: str = ""
    name: str = ""
    user: str = ""
    node: str = ""
    trigger: str = ""
    value: float | None = None
    clears: bool = False


# Kinds of history that mean something to rules; the reader of the history asks for these alone.
_TASKS = {
    "task-failed": Condition.TASK_FAILED,
    "task-stopping": Condition.TIMEOUT,
    "task-succeeded": Condition.NO_SUCCESS,
}
# A run that fails has a task that did, save one that timed out.
_WORKFLOWS = {
    "workflow-stopping": (Condition.TIMEOUT, "timed out"),
    "workflow-succeeded": (Condition.NO_SUCCESS, "succeeded"),
}
_NODES_LOST = {"node-suspect": False, "node-gone": False, "node-returned": True, "node-joined": True}
KINDS: dict[Condition, tuple[str, ...]] = {
    Condition.TASK_FAILED: ("task-failed",),
    Condition.RETRIES_USED_UP: ("task-failed",),
    Condition.TIMEOUT: ("task-stopping", "workflow-stopping"),
    Condition.NO_SUCCESS: ("task-succeeded", "workflow-succeeded"),
    Condition.NODE_LOST: tuple(_NODES_LOST),
    Condition.FIRING_MISSED: ("firing-missed",),
}


def occurrences(happened: Happened) -> Iterator[Occurrence]:
    """What a line of history means to rules: nothing, one thing, or two."""
    record = happened.record
    kind = str(record.kind)
    if kind in _TASKS:
        condition = _TASKS[kind]
        if condition is Condition.TIMEOUT and record.detail.get("intent") != "timeout":
            return
        what = happened.name or record.task or "a task"
        verb = {Condition.TASK_FAILED: "failed", Condition.TIMEOUT: "timed out"}.get(condition, "succeeded")
        text = f"{what} ({record.task}) {verb}: {record.reason}"
        about = (record.task or "", happened.name, happened.user)
        yield Occurrence(condition, record.time, text, *about)
        if condition is Condition.TASK_FAILED and record.detail.get("retries_used_up"):
            yield Occurrence(Condition.RETRIES_USED_UP, record.time, text, *about)
    elif kind in _WORKFLOWS:
        if kind == "workflow-stopping" and record.detail.get("why") != "timeout":
            return
        condition, verb = _WORKFLOWS[kind]
        workflow, user = str(record.detail.get("workflow", "")), str(record.detail.get("user", ""))
        text = f"{workflow} ({record.detail.get('run')}) {verb}: {record.reason}"
        yield Occurrence(condition, record.time, text, name=workflow, user=user)
    elif kind in _NODES_LOST:
        node, clears = record.node or "", _NODES_LOST[kind]
        words = {"node-suspect": "does not answer", "node-gone": "is gone"}.get(kind, "is back")
        yield Occurrence(Condition.NODE_LOST, record.time, f"{node} {words}", node=node, clears=clears)
    elif kind == "firing-missed":
        trigger = str(record.detail.get("name") or record.detail.get("trigger") or "a trigger")
        text = f"{trigger} was missed: {record.reason}"
        yield Occurrence(Condition.FIRING_MISSED, record.time, text, name=trigger, trigger=trigger)


def concerns(rule: Rule, seen: Occurrence) -> bool:
    """Does the rule look for this, its limit aside?"""
    if rule.condition is not seen.condition:
        return False
    if rule.condition in OF_NODES:
        if not fnmatchcase(seen.node, rule.nodes):
            return False
    elif not fnmatchcase(seen.name, rule.tasks) or rule.user not in (None, seen.user):
        return False
    return True


def group_of(rule: Rule, seen: Occurrence) -> str:
    """The name of the group, empty for a rule that has only one."""
    if rule.group is Grouping.RULE:
        return ""
    return str(getattr(seen, rule.group.value))[:200]
