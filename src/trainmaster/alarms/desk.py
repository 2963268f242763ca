"""What people do with alarms: look, take care of one, set rules and channels, try them out."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace

from trainmaster.alarms.book import Book
from trainmaster.alarms.channels.carrier import Carrier
from trainmaster.domain.alarm import (
    SECRETS,
    Alarm,
    Channel,
    Notice,
    NoticeKind,
    Rule,
    Send,
    SendState,
    Severity,
    validate,
)
from trainmaster.domain.errors import (
    InvalidAlarmRule,
    InvalidChannel,
    TrainmasterError,
    UnknownAlarm,
    UnknownAlarmRule,
    UnknownChannel,
)
from trainmaster.ports import Clock

MOST_RULES, MOST_CHANNELS = 200, 50


class Desk:
    """`changed` is called when rules or channels were changed here."""

    def __init__(
        self, book: Book, carrier: Carrier, clock: Clock, changed: Callable[[], None] = lambda: None
    ) -> None:
        self.book = book
        self._carrier = carrier
        self._clock = clock
        self._changed = changed

    async def alarm(self, alarm: str) -> Alarm:
        """Raises UnknownAlarm."""
        found = await self.book.alarm(alarm)
        if found is None:
            raise UnknownAlarm(f"there is no alarm {alarm}", alarm=alarm)
        return found

    async def acknowledge(self, alarm: str, by: str) -> Alarm:
        """Somebody takes care of it; the first who says so stays. Raises UnknownAlarm."""
        found = await self.book.acknowledge(alarm, by, self._clock.now())
        if found is None:
            raise UnknownAlarm(f"there is no alarm {alarm}", alarm=alarm)
        return found

    async def rule(self, name: str) -> Rule:
        """Raises UnknownAlarmRule."""
        for rule in await self.book.rules():
            if rule.name == name:
                return rule
        raise UnknownAlarmRule(f"there is no rule {name}", rule=name)

    async def set_rule(self, rule: Rule) -> Rule:
        """Make a rule, or replace the one of this name. Raises InvalidAlarmRule."""
        validate(rule)
        known = {channel.name for channel in await self.book.channels()}
        for name in rule.channels:
            if name not in known:
                raise InvalidAlarmRule(
                    f"channels: there is no channel {name}", field="channels",
                    remedy="make it first with `trainmaster alarm channel set`",
                )  # fmt: skip
        rules = {old.name: old for old in await self.book.rules()}
        if rule.name not in rules and len(rules) >= MOST_RULES:
            raise InvalidAlarmRule(f"there are {MOST_RULES} rules already", remedy="remove one", field="name")
        before = rules.get(rule.name)
        same = before is not None and before.condition is rule.condition
        made_at = before.made_at if same and before is not None else self._clock.now()
        rule = replace(rule, made_at=made_at)
        await self.book.put_rule(rule)
        self._changed()
        return rule

    async def drop_rule(self, name: str) -> None:
        """Its open alarms are over. Raises UnknownAlarmRule."""
        if not await self.book.drop_rule(name):
            raise UnknownAlarmRule(f"there is no rule {name}", rule=name)
        self._changed()

    async def channel(self, name: str) -> Channel:
        """Raises UnknownChannel."""
        for channel in await self.book.channels():
            if channel.name == name:
                return channel
        raise UnknownChannel(f"there is no channel {name}", channel=name)

    async def set_channel(self, channel: Channel, by: str) -> Channel:
        """Make a channel, or replace the one of this name. Raises InvalidChannel.

        Secrets that are left out stay as they are: nobody could read them to write them again. An empty one
        is taken away.
        """
        channels = {old.name: old for old in await self.book.channels()}
        before = channels.get(channel.name)
        if before is None and len(channels) >= MOST_CHANNELS:
            raise InvalidChannel(
                f"there are {MOST_CHANNELS} channels already", remedy="remove one", field="name"
            )
        kept = {}
        if before is not None and before.kind is channel.kind:
            kept = {name: value for name, value in before.settings.items() if name in SECRETS[channel.kind]}
        settings = {name: value for name, value in {**kept, **channel.settings}.items() if value}
        channel = replace(channel, settings=settings, changed_at=self._clock.now(), changed_by=by)
        await self._carrier.check(channel)
        await self.book.put_channel(channel)
        self._changed()
        return channel

    async def drop_channel(self, name: str) -> None:
        """Raises UnknownChannel, and InvalidChannel while rules use it."""
        users = [rule.name for rule in await self.book.rules() if name in rule.channels]
        if users:
            raise InvalidChannel(
                f"{name} is used by {', '.join(users[:5])}", remedy="take it out of these rules first",
                field="name",
            )  # fmt: skip
        if not await self.book.drop_channel(name):
            raise UnknownChannel(f"there is no channel {name}", channel=name)
        self._changed()

    async def try_rule(self, name: str) -> list[Send]:
        """Send a test over each of a rule's channels, now and once. Raises UnknownAlarmRule."""
        rule = await self.rule(name)
        return [await self.try_channel(channel, rule) for channel in rule.channels]

    async def try_channel(self, name: str, rule: Rule | None = None) -> Send:
        """Send a test now and once; what became of it is recorded and returned. Raises UnknownChannel."""
        channel, now = await self.channel(name), self._clock.now()
        notice = Notice(
            NoticeKind.TEST,
            rule.name if rule is not None else "test",
            "",
            rule.severity if rule is not None else Severity.INFO,
            "this is a test: nothing is wrong",
            now,
        )
        send = Send(f"m-{secrets.token_hex(8)}", name, now, now, (notice,), attempts=1)
        try:
            await self._carrier.send(channel, send, now)
            send = replace(send, state=SendState.SENT, sent_at=self._clock.now())
        except TrainmasterError as error:
            send = replace(send, state=SendState.FAILED, code=error.code, error=error.message)
        await self.book.put_send(send)
        return send
