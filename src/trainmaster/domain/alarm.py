"""Alarms: rules over what happens, what they raise, and the channels that carry it to people."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from trainmaster.domain.errors import InvalidAlarmRule
from trainmaster.domain.history import Record


class Condition(StrEnum):
    """What a rule looks for. The first kinds happen at a moment, the later ones hold for a while."""

    TASK_FAILED = "task-failed"
    RETRIES_USED_UP = "retries-used-up"  # a task that had more than one attempt failed for good
    TIMEOUT = "timeout"  # an attempt ran longer than its timeout
    FIRING_MISSED = "firing-missed"
    NODE_LOST = "node-lost"  # silent or gone; over once it is back
    NO_SUCCESS = "no-success"  # none of the tasks succeeded for `limit` seconds
    FIRING_DELAY = "firing-delay"  # lately something began more than `limit` seconds after it was due
    QUEUE_WAIT = "queue-wait"  # a task has waited for a start for more than `limit` seconds
    NO_PROGRESS = "no-progress"  # a running task reported none for `limit` seconds
    NODE_PRESSURE = "node-pressure"  # a node's `resource` is used above `limit`, 0..1
    OVER_CAPACITY = "over-capacity"  # forecast work above `limit` times what all nodes can do


STANDING = frozenset(
    {
        Condition.FIRING_DELAY, Condition.QUEUE_WAIT, Condition.NO_PROGRESS, Condition.NODE_PRESSURE,
        Condition.OVER_CAPACITY,
    }
)  # fmt: skip
FIRINGS = frozenset({Condition.FIRING_DELAY, Condition.FIRING_MISSED})
OF_NODES = frozenset({Condition.NODE_LOST, Condition.NODE_PRESSURE, Condition.OVER_CAPACITY})
# Limits that hold where a rule names none.
LIMITS = {
    Condition.FIRING_DELAY: 1.0,
    Condition.NO_SUCCESS: 86400.0,
    Condition.QUEUE_WAIT: 600.0,
    Condition.NO_PROGRESS: 600.0,
    Condition.NODE_PRESSURE: 0.9,
    Condition.OVER_CAPACITY: 1.0,
}


class Grouping(StrEnum):
    """What shares one alarm: everything a rule sees, or what has the same name, task, user, node, trigger."""

    RULE = "rule"
    NAME = "name"
    TASK = "task"
    USER = "user"
    NODE = "node"
    TRIGGER = "trigger"


class Severity(StrEnum):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AlarmState(StrEnum):
    OPEN = "OPEN"
    ACKNOWLEDGED = "ACKNOWLEDGED"  # somebody takes care of it: it is told again only when it is over
    RESOLVED = "RESOLVED"


RESOURCES = ("cpu", "memory", "gpu", "gpu_memory", "disk")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Rule:
    """When an alarm opens, what it covers, and whom it tells. Times in seconds.

    It opens once `after` occurrences lie within `within_s`, or, of a condition that holds, once it has held
    for `for_s`. `tasks` and `nodes` are patterns of names (`*`, `?`, `[…]`). Of one group nothing is told
    twice within `quiet_s`, the end of an alarm aside. An alarm is over when its condition no longer holds
    and has not for `resolve_s`; None: 0 for what holds, an hour for what happens at a moment.
    `made_at`: an expected success is waited for from here on.
    """

    name: str
    condition: Condition
    severity: Severity = Severity.WARNING
    tasks: str = "*"
    user: str | None = None
    nodes: str = "*"
    resource: str = "memory"
    limit: float | None = None
    for_s: float = 0.0
    after: int = 1
    within_s: float = 300.0
    group: Grouping = Grouping.RULE
    quiet_s: float = 300.0
    resolve_s: float | None = None
    tell_resolved: bool = True
    channels: tuple[str, ...] = ()
    enabled: bool = True
    made_at: float = 0.0

    @property
    def bound(self) -> float:
        """The limit that holds."""
        return self.limit if self.limit is not None else LIMITS.get(self.condition, 0.0)

    def to_dict(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in self.__slots__}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Rule:
        """Inverse of `to_dict`; fields that this version does not know are left out."""
        values = {name: data[name] for name in cls.__slots__ if name in data}
        values["condition"] = Condition(values["condition"])
        values["severity"] = Severity(values.get("severity", Severity.WARNING))
        values["group"] = Grouping(values.get("group", Grouping.RULE))
        values["channels"] = tuple(values.get("channels", ()))
        return cls(**values)


def validate(rule: Rule) -> None:
    """Raise InvalidAlarmRule for a rule that can never be right. Names the field and the remedy."""

    def refuse(name: str, problem: str, remedy: str) -> None:
        raise InvalidAlarmRule(f"{name}: {problem}", remedy=remedy, field=name)

    if not _NAME.fullmatch(rule.name):
        refuse("name", f"{rule.name!r} is no name", "use 1 to 64 letters, digits, dots and dashes")
    if not 1 <= rule.after <= 1000:
        refuse("after", f"must be 1 to 1000, got {rule.after}", "leave it out for 1")
    for name in ("for_s", "within_s", "quiet_s"):
        if not 0 <= getattr(rule, name) <= 366 * 86400.0:
            refuse(name, f"must be 0 to a year, got {getattr(rule, name)}", "leave it out")
    if rule.resolve_s is not None and not 0 <= rule.resolve_s <= 366 * 86400.0:
        refuse("resolve_s", f"must be 0 to a year, got {rule.resolve_s}", "leave it out")
    if rule.limit is not None and not 0 < rule.limit < 1e9:
        refuse("limit", f"must be positive, got {rule.limit}", "leave it out for the usual one")
    if rule.condition is Condition.NODE_PRESSURE and not rule.bound < 1:
        refuse("limit", f"is a share between 0 and 1, got {rule.limit}", "write 0.9 for 90 %")
    if rule.resource not in RESOURCES:
        refuse("resource", f"{rule.resource!r} is not measured", "use " + ", ".join(RESOURCES))
    if rule.after > 1 and (rule.condition in STANDING or rule.condition is Condition.NO_SUCCESS):
        refuse("after", f"{rule.condition} holds for a while and is not counted", "use for_s instead")
    if rule.for_s and rule.condition not in STANDING:
        refuse("for_s", f"{rule.condition} happens at a moment", "use after and within_s instead")
    allowed = groupings(rule.condition)
    if rule.group not in allowed:
        refuse("group", f"{rule.condition} cannot be grouped by {rule.group}", "use " + ", ".join(allowed))
    if len(rule.channels) > 20:
        refuse("channels", f"at most 20, got {len(rule.channels)}", "name fewer")


def groupings(condition: Condition) -> tuple[Grouping, ...]:
    """By what the alarms of a condition can be told apart; the first is the usual one."""
    if condition in (Condition.NO_SUCCESS, Condition.OVER_CAPACITY):
        return (Grouping.RULE,)
    if condition is Condition.NODE_LOST:
        return (Grouping.NODE,)  # each has an end of its own
    if condition in OF_NODES:
        return (Grouping.RULE, Grouping.NODE)
    if condition in FIRINGS:
        return (Grouping.RULE, Grouping.TRIGGER)
    return (Grouping.RULE, Grouping.NAME, Grouping.TASK, Grouping.USER)


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that is wrong, from its first occurrence until it is over. `text` tells the latest one."""

    id: str
    rule: str
    group: str
    severity: Severity
    text: str
    opened_at: float
    last_at: float
    count: int
    told: int = 0  # how often it was told, its end aside
    resolved_at: float | None = None
    acknowledged_at: float | None = None
    acknowledged_by: str | None = None

    @property
    def state(self) -> AlarmState:
        if self.resolved_at is not None:
            return AlarmState.RESOLVED
        return AlarmState.OPEN if self.acknowledged_at is None else AlarmState.ACKNOWLEDGED


class NoticeKind(StrEnum):
    OPENED = "opened"
    AGAIN = "again"  # it goes on, and a quiet time has passed
    RESOLVED = "resolved"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Notice:
    """What is told of an alarm. JSON-ready through `to_dict`: what a webhook gets, but for its envelope."""

    kind: NoticeKind
    rule: str
    group: str
    severity: Severity
    text: str
    time: float
    alarm: str = ""
    count: int = 1
    since: float = 0.0
    channels: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__ if name != "channels"}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Notice:
        values = {name: data[name] for name in cls.__slots__ if name in data}
        values["kind"], values["severity"] = NoticeKind(values["kind"]), Severity(values["severity"])
        return cls(**values)


class ChannelKind(StrEnum):
    WEBHOOK = "webhook"
    SMTP = "smtp"
    APPRISE = "apprise"


# Settings of each kind: required, optional, and which of them are never shown.
SETTINGS: dict[ChannelKind, tuple[tuple[str, ...], tuple[str, ...]]] = {
    ChannelKind.WEBHOOK: (("url",), ("secret",)),
    ChannelKind.SMTP: (("host", "sender", "to"), ("port", "security", "user", "password")),
    ChannelKind.APPRISE: (("url",), ()),
}
SECRETS: dict[ChannelKind, frozenset[str]] = {
    ChannelKind.WEBHOOK: frozenset({"secret"}),
    ChannelKind.SMTP: frozenset({"password"}),
    ChannelKind.APPRISE: frozenset({"url"}),  # its addresses are made of tokens
}


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to people. `settings` are plain words by name (see SETTINGS); `repr` leaves them out."""

    name: str
    kind: ChannelKind
    settings: dict[str, str] = field(default_factory=dict, repr=False)
    enabled: bool = True
    changed_at: float = 0.0
    changed_by: str = ""

    @property
    def shown(self) -> dict[str, str]:
        """The settings as anybody may see them: of secrets only that they are set."""
        hidden = SECRETS[self.kind]
        return {name: "***" if name in hidden else value for name, value in self.settings.items()}


class SendState(StrEnum):
    PENDING = "PENDING"
    SENT = "SENT"
    FAILED = "FAILED"  # given up


@dataclass(frozen=True, slots=True)
class Send:
    """One message on one channel, of one notice or several gathered. `more`: notices it only counts."""

    id: str
    channel: str
    created_at: float
    due_at: float
    notices: tuple[Notice, ...]
    more: int = 0
    state: SendState = SendState.PENDING
    attempts: int = 0
    sent_at: float | None = None
    code: str = ""  # of the latest error
    error: str = ""


@dataclass(frozen=True, slots=True)
class Happened:
    """A line of history, with what its task is called and whose it is."""

    record: Record
    name: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True)
class Idle:
    """A task that waits or runs, and since when nothing was heard of it (queued, started, progressed)."""

    task: str
    name: str
    user: str
    since: float


@dataclass(frozen=True, slots=True)
class Late:
    """What a trigger started, or has not yet, and how long after it was due. Times in seconds."""

    trigger: str
    due: float
    late_s: float


@dataclass(slots=True)
class AlarmBatch:
    """What one evaluation changes, stored in one transaction. `cursor`: the last record it has seen."""

    cursor: int
    watches: str  # JSON
    alarms: list[Alarm] = field(default_factory=list)
    sends: list[Send] = field(default_factory=list)
