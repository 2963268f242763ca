"""Alarms, the rules that open them, and the channels that carry them."""

from __future__ import annotations

import math
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, Field

from trainmaster.alarms.desk import Desk
from trainmaster.api.deps import Admin, Operator, Viewer
from trainmaster.api.requests import Seconds, Strict
from trainmaster.domain.alarm import (
    Alarm,
    Channel,
    ChannelKind,
    Condition,
    Grouping,
    Notice,
    Rule,
    Send,
    Severity,
    groupings,
)
from trainmaster.domain.errors import InvalidQuery
from trainmaster.domain.units import parse_duration

router = APIRouter(prefix="/v1", tags=["alarms"])


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


Alarming = Annotated[Desk, Depends(_desk)]
Name = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
AlarmId = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[a-z0-9-]+$")]


class AlarmOut(BaseModel):
    id: str = Field(examples=["a-3f1c9a27b0de"])
    state: str = Field(examples=["OPEN"], description="OPEN, ACKNOWLEDGED or RESOLVED")
    rule: str = Field(examples=["nightly-failed"])
    group: str = Field(examples=["train-resnet"], description="empty for rules that have only one")
    severity: str = Field(examples=["critical"])
    text: str = Field(examples=["train-resnet (t-0123456789) failed: exited with 1"])
    opened_at: float = Field(examples=[1767225600.0])
    last_at: float = Field(examples=[1767225660.0], description="of its latest occurrence")
    count: int = Field(examples=[3])
    told: int = Field(examples=[1], description="how often it was told, its end aside")
    resolved_at: float | None = None
    acknowledged_at: float | None = None
    acknowledged_by: str | None = None

    @classmethod
    def of(cls, alarm: Alarm) -> AlarmOut:
        values = {name: getattr(alarm, name) for name in cls.model_fields if name != "state"}
        return cls(state=alarm.state.value, **values)


class AlarmPage(BaseModel):
    alarms: list[AlarmOut]
    next: str | None = Field(None, description="`before` of the next page")


class RuleIn(Strict):
    """When an alarm opens, what it covers, whom it tells. Durations in seconds, or such as "10m"."""

    condition: Condition = Field(examples=["task-failed"])
    severity: Severity = Severity.WARNING
    tasks: str = Field(
        "*", max_length=200, examples=["train-*"], description="pattern of names (or triggers)"
    )
    user: str | None = Field(None, max_length=255)
    nodes: str = Field("*", max_length=200, description="pattern of names")
    resource: str = Field(
        "memory", max_length=20, description="of node-pressure: cpu, memory, gpu, gpu_memory, disk"
    )
    limit: Seconds | None = Field(
        None, description="seconds, or a share: 0.9; what it bounds depends on the condition"
    )
    for_: Seconds = Field(0.0, alias="for", description="what holds must have held for so long")
    after: int = Field(1, ge=1, le=1000, description="opens after so many occurrences")
    within: Seconds = Field(300.0, description="that lie within this time")
    group: Grouping | None = Field(
        None, description="what shares one alarm; left out: as the condition suggests"
    )
    quiet: Seconds = Field(300.0, description="nothing is told twice within this time")
    resolve: Seconds | None = Field(None, description="over once it has not happened for so long")
    tell_resolved: bool = Field(True, description="tell that it is over")
    channels: list[str] = Field([], max_length=20, examples=[["ops-mail"]])
    enabled: bool = True

    def rule(self, name: str) -> Rule:
        """Raises InvalidTask for durations that cannot be read."""
        return Rule(
            name,
            self.condition,
            self.severity,
            self.tasks,
            self.user,
            self.nodes,
            self.resource,
            None if self.limit is None else parse_duration(self.limit, "limit"),
            parse_duration(self.for_, "for"),
            self.after,
            parse_duration(self.within, "within"),
            self.group or groupings(self.condition)[0],
            parse_duration(self.quiet, "quiet"),
            None if self.resolve is None else parse_duration(self.resolve, "resolve"),
            self.tell_resolved,
            tuple(self.channels),
            self.enabled,
        )


class RuleOut(BaseModel):
    name: str = Field(examples=["nightly-failed"])
    condition: str = Field(examples=["task-failed"])
    severity: str = Field(examples=["warning"])
    tasks: str = Field(examples=["*"])
    user: str | None = None
    nodes: str = Field(examples=["*"])
    resource: str = Field(examples=["memory"])
    limit: float | None = Field(None, description="null: the usual one")
    for_s: float = Field(examples=[0.0])
    after: int = Field(examples=[1])
    within_s: float = Field(examples=[300.0])
    group: str = Field(examples=["rule"])
    quiet_s: float = Field(examples=[300.0])
    resolve_s: float | None = None
    tell_resolved: bool
    channels: list[str]
    enabled: bool
    made_at: float = Field(examples=[1767225600.0])

    @classmethod
    def of(cls, rule: Rule) -> RuleOut:
        return cls(**rule.to_dict())


class ChannelIn(Strict):
    """Webhook: url, secret. SMTP: host, sender, to, port, security (none, starttls, tls), user, password.
    Apprise: url. Secrets that are left out stay as they are."""

    kind: ChannelKind = Field(examples=["webhook"])
    settings: dict[str, str] = Field(
        examples=[{"url": "https://example.org/hooks/tm", "secret": "…"}], max_length=10
    )
    enabled: bool = True


class ChannelOut(BaseModel):
    name: str = Field(examples=["ops-mail"])
    kind: str = Field(examples=["smtp"])
    settings: dict[str, str] = Field(description="of secrets only that they are set: ***")
    enabled: bool
    changed_at: float = Field(examples=[1767225600.0])
    changed_by: str = Field(examples=["ada"])

    @classmethod
    def of(cls, channel: Channel) -> ChannelOut:
        return cls(
            name=channel.name,
            kind=channel.kind.value,
            settings=channel.shown,
            enabled=channel.enabled,
            changed_at=channel.changed_at,
            changed_by=channel.changed_by,
        )


class NoticeOut(BaseModel):
    kind: str = Field(examples=["opened"])
    rule: str
    group: str
    severity: str
    text: str
    time: float
    alarm: str
    count: int

    @classmethod
    def of(cls, notice: Notice) -> NoticeOut:
        return cls(**{name: getattr(notice, name) for name in cls.model_fields})


class SendOut(BaseModel):
    id: str = Field(examples=["m-9c0ffee1a2b3c4d5"])
    channel: str = Field(examples=["ops-mail"])
    state: str = Field(examples=["SENT"], description="PENDING, SENT, or FAILED: given up")
    created_at: float
    due_at: float = Field(description="of the next attempt, while it is pending")
    attempts: int
    sent_at: float | None
    code: str = Field(description="of the latest error", examples=["channel-unreachable"])
    error: str
    notices: list[NoticeOut]
    more: int = Field(description="notices that are only counted")

    @classmethod
    def of(cls, send: Send) -> SendOut:
        plain = {name: getattr(send, name) for name in cls.model_fields if name not in ("notices", "state")}
        return cls(**plain, state=send.state.value, notices=[NoticeOut.of(notice) for notice in send.notices])


@router.get("/alarms", summary="What is wrong, and was")
async def alarms(
    desk: Alarming,
    person: Viewer,
    all_: Annotated[bool, Query(alias="all", description="those that are over, too")] = False,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[str | None, Query(max_length=120, description="`next` of the page before")] = None,
) -> AlarmPage:
    """The latest opened first."""
    found = await desk.book.alarms(not all_, limit, None if before is None else _place(before))
    after = f"{found[-1].opened_at!r},{found[-1].id}" if len(found) == limit else None
    return AlarmPage(alarms=[AlarmOut.of(alarm) for alarm in found], next=after)


@router.get("/alarms/{alarm}", summary="One alarm")
async def alarm(alarm: AlarmId, desk: Alarming, person: Viewer) -> AlarmOut:
    return AlarmOut.of(await desk.alarm(alarm))


@router.post("/alarms/{alarm}/acknowledge", summary="Take care of an alarm")
async def acknowledge(alarm: AlarmId, desk: Alarming, person: Operator) -> AlarmOut:
    """It is told again only when it is over. Whoever was first stays."""
    return AlarmOut.of(await desk.acknowledge(alarm, person.name))


@router.get("/alarm-rules", summary="The rules there are")
async def rules(desk: Alarming, person: Viewer) -> list[RuleOut]:
    return [RuleOut.of(rule) for rule in await desk.book.rules()]


@router.put("/alarm-rules/{name}", summary="Make a rule, or replace it")
async def set_rule(name: Name, body: RuleIn, desk: Alarming, person: Operator) -> RuleOut:
    return RuleOut.of(await desk.set_rule(body.rule(name)))


@router.delete("/alarm-rules/{name}", status_code=204, summary="Remove a rule; its alarms are over")
async def drop_rule(name: Name, desk: Alarming, person: Operator) -> None:
    await desk.drop_rule(name)


@router.post("/alarm-rules/{name}/test", summary="Send a test over a rule's channels")
async def try_rule(name: Name, desk: Alarming, person: Operator) -> list[SendOut]:
    return [SendOut.of(send) for send in await desk.try_rule(name)]


@router.get("/channels", summary="The channels there are, without their secrets")
async def channels(desk: Alarming, person: Viewer) -> list[ChannelOut]:
    return [ChannelOut.of(channel) for channel in await desk.book.channels()]


@router.put("/channels/{name}", summary="Make a channel, or replace it")
async def set_channel(name: Name, body: ChannelIn, desk: Alarming, person: Admin) -> ChannelOut:
    channel = Channel(name, body.kind, dict(body.settings), body.enabled)
    return ChannelOut.of(await desk.set_channel(channel, person.name))


@router.delete("/channels/{name}", status_code=204, summary="Remove a channel no rule uses")
async def drop_channel(name: Name, desk: Alarming, person: Admin) -> None:
    await desk.drop_channel(name)


@router.post("/channels/{name}/test", summary="Send a test, now and once")
async def try_channel(name: Name, desk: Alarming, person: Operator) -> SendOut:
    return SendOut.of(await desk.try_channel(name))


@router.get("/channels/{name}/sends", summary="What was sent over a channel, the latest first")
async def sends(
    name: Name, desk: Alarming, person: Viewer, limit: Annotated[int, Query(ge=1, le=1000)] = 50
) -> list[SendOut]:
    return [SendOut.of(send) for send in await desk.book.sends((await desk.channel(name)).name, limit)]


def _place(cursor: str) -> tuple[float, str]:
    """Raises InvalidQuery."""
    at, _, alarm = cursor.partition(",")
    try:
        time = float(at)
    except ValueError:
        time = math.nan
    if not math.isfinite(time):
        raise InvalidQuery(
            f"before: {cursor!r} is no place in the list", remedy="give the `next` of a page", field="before"
        )
    return time, alarm
