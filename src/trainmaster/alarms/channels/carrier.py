"""Sends a message over a channel of any kind, within a bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from trainmaster.alarms.channels import by_apprise, smtp, webhook
from trainmaster.alarms.channels.addresses import Network, resolve
from trainmaster.alarms.channels.aside import aside
from trainmaster.domain.alarm import SETTINGS, Channel, ChannelKind, Send
from trainmaster.domain.errors import ChannelUnreachable, InvalidChannel

PATIENCE_S = 15.0  # for one message, names and certificates included

_LONGEST = 2000
_CHECKS = {
    ChannelKind.WEBHOOK: webhook.check,
    ChannelKind.SMTP: smtp.check,
    ChannelKind.APPRISE: by_apprise.check,
}


class Carrier:
    """`allowed`: private networks that channels may lead to."""

    def __init__(self, allowed: Sequence[Network] = (), patience_s: float = PATIENCE_S) -> None:
        self._allowed = tuple(allowed)
        self._patience_s = patience_s

    async def check(self, channel: Channel) -> None:
        """Raise InvalidChannel for settings that can never be right. Asks nobody outside."""
        required, optional = SETTINGS[channel.kind]
        for name in required:
            if not channel.settings.get(name):
                raise InvalidChannel(
                    f"{name}: a channel of kind {channel.kind} needs it", remedy="give it", field=name
                )
        for name, value in channel.settings.items():
            if name not in required + optional:
                known = ", ".join(required + optional)
                raise InvalidChannel(
                    f"{name}: a channel of kind {channel.kind} has no such setting", remedy=f"it has {known}",
                    field=name,
                )  # fmt: skip
            if len(value) > _LONGEST:
                raise InvalidChannel(
                    f"{name}: longer than {_LONGEST} characters", remedy="shorten it", field=name
                )
        check = _CHECKS[channel.kind]
        if channel.kind is ChannelKind.APPRISE:
            await aside(lambda: check(channel.settings))  # the first time it imports a hundred modules
        else:
            check(channel.settings)

    async def send(self, channel: Channel, message: Send, now: float) -> None:
        """Once. Raises AddressForbidden, ChannelUnreachable, ChannelRefused, InvalidChannel."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self.check(channel)
                if channel.kind is ChannelKind.WEBHOOK:
                    await webhook.send(channel.settings, message, now, self._resolve)
                elif channel.kind is ChannelKind.SMTP:
                    await self._mail(channel.settings, message, now)
                else:
                    host = await aside(lambda: by_apprise.host_of(channel.settings))
                    if host is not None:
                        await self._resolve(host, 443)
                    await aside(lambda: by_apprise.run(channel.settings, message))
        except TimeoutError:
            raise ChannelUnreachable(
                f"no answer within {self._patience_s:g} s", channel=channel.name, waited_s=self._patience_s
            ) from None

    async def _mail(self, settings: dict[str, str], message: Send, now: float) -> None:
        addresses = await self._resolve(settings["host"], smtp.port(settings))
        mail = smtp.Mail(settings, message, now, addresses)
        try:
            await aside(mail.run)
        except asyncio.CancelledError:
            mail.abandon()
            raise

    async def _resolve(self, host: str, port: int) -> list[str]:
        return await aside(lambda: resolve(host, port, self._allowed))
