"""Where channels may lead."""

from __future__ import annotations

import ipaddress

import pytest

from trainmaster.alarms.channels.addresses import networks, permitted, resolve
from trainmaster.alarms.channels.carrier import Carrier
from trainmaster.domain.alarm import Channel, ChannelKind
from trainmaster.domain.errors import AddressForbidden, ChannelUnreachable, InvalidChannel

PRIVATE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0",
    "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fd00::1", "fe80::1", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("text", PRIVATE)
def test_private_addresses_are_refused(text: str) -> None:
    assert not permitted(ipaddress.ip_address(text), ())


@pytest.mark.parametrize("text", PUBLIC)
def test_public_ones_are_not(text: str) -> None:
    assert permitted(ipaddress.ip_address(text), ())


def test_an_allowed_network_opens_itself_alone() -> None:
    allowed = networks(["10.0.0.0/8", "::1"])
    assert permitted(ipaddress.ip_address("10.9.9.9"), allowed)
    assert permitted(ipaddress.ip_address("::ffff:10.9.9.9"), allowed)
    assert permitted(ipaddress.ip_address("::1"), allowed)
    assert not permitted(ipaddress.ip_address("127.0.0.1"), allowed)


def test_names_are_resolved_and_every_spelling_of_an_address_is_seen_through() -> None:
    for name in ("localhost", "127.1", "2130706433", "0x7f.1"):
        with pytest.raises(AddressForbidden):
            resolve(name, 80, ())
    assert resolve("localhost", 80, networks(["127.0.0.0/8", "::1"]))
    with pytest.raises(ChannelUnreachable):
        resolve("no-such-host.invalid", 80, ())
    with pytest.raises(ChannelUnreachable):
        resolve("a" * 300 + ".example", 80, ())


@pytest.mark.parametrize(
    ("kind", "field", "settings"),
    [
        ("webhook", "url", {}),
        ("webhook", "url", {"url": "ftp://example.org/x"}),
        ("webhook", "url", {"url": "https://"}),
        ("webhook", "url", {"url": "https://user:pw@example.org/"}),
        ("webhook", "url", {"url": "https://example.org:99999/"}),
        ("webhook", "url", {"url": "https://[::1/"}),
        ("webhook", "url", {"url": "https://example.org/\r\nX: y"}),
        ("webhook", "colour", {"url": "https://example.org/", "colour": "red"}),
        ("smtp", "host", {"sender": "a@b.org", "to": "c@d.org"}),
        ("smtp", "sender", {"host": "m.org", "sender": "nobody", "to": "c@d.org"}),
        ("smtp", "to", {"host": "m.org", "sender": "a@b.org", "to": "c@d.org, x\r\nBcc: y@z.org"}),
        ("smtp", "port", {"host": "m.org", "sender": "a@b.org", "to": "c@d.org", "port": "0"}),
        ("smtp", "security", {"host": "m.org", "sender": "a@b.org", "to": "c@d.org", "security": "hope"}),
        ("smtp", "password", {"host": "m.org", "sender": "a@b.org", "to": "c@d.org", "user": "u"}),
        (
            "smtp", "security",
            {"host": "m.org", "sender": "a@b.org", "to": "c@d.org", "user": "u", "password": "p",
             "security": "none"},
        ),
        ("apprise", "url", {"url": "no-such-service://x"}),
        ("apprise", "url", {"url": "syslog://"}),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")  # Apprise's
async def test_channels_that_can_never_work(kind: str, field: str, settings: dict[str, str]) -> None:
    with pytest.raises(InvalidChannel) as caught:
        await Carrier().check(Channel("c", ChannelKind(kind), settings))
    assert caught.value.fields["field"] == field and caught.value.remedy


def test_secrets_are_never_shown() -> None:
    channel = Channel("c", ChannelKind.WEBHOOK, {"url": "https://example.org/", "secret": "s3cret"})
    assert channel.shown == {"url": "https://example.org/", "secret": "***"}
    assert "s3cret" not in repr(channel)
