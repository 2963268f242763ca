"""Alarms end to end: a real service, real servers behind the channels, and a storm."""

from __future__ import annotations

import asyncio
import email
import email.policy
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import Live, live, wait_until
from tests.sinks import SmtpSink, WebhookSink, closed_port, serving
from trainmaster.alarms.channels.addresses import networks
from trainmaster.alarms.channels.carrier import Carrier
from trainmaster.alarms.courier import Courier
from trainmaster.alarms.rules.gather import Outbox
from trainmaster.cli.main import run
from trainmaster.client import Client
from trainmaster.domain.alarm import Channel, ChannelKind, Notice, NoticeKind, Send, SendState, Severity
from trainmaster.domain.errors import (
    AddressForbidden,
    ChannelRefused,
    ChannelUnreachable,
    InvalidAlarmRule,
    InvalidChannel,
    TrainmasterError,
    UnknownChannel,
)
from trainmaster.store import SqlStore
from trainmaster.telemetry.clock import SystemClock

IMGHDR = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")  # Apprise imports it
HERE = ["127.0.0.0/8"]
MESSAGE = Send(
    "m-0123456789abcdef", "c", 5.0, 5.0,
    (
        Notice(
            NoticeKind.OPENED, "r", "g\nBcc: x@y.z", Severity.CRITICAL, "it\r\nbroke: é", 5.0, "a-1", 3, 4.0
        ),
    ),
)  # fmt: skip


def mail(port: int, **settings: str) -> Channel:
    given = {"host": "localhost", "port": str(port), "security": "none", "sender": "tm@example.org"}
    return Channel("m", ChannelKind.SMTP, {**given, "to": "a@example.org, b@example.org", **settings})


def hook(url: str, **settings: str) -> Channel:
    return Channel("h", ChannelKind.WEBHOOK, {"url": url, **settings})


async def test_a_webhook_is_signed() -> None:
    with serving(WebhookSink()) as sink:
        await Carrier(networks(HERE)).send(hook(sink.url, secret="s3cret"), MESSAGE, 1000.5)
    ((_, headers, body),) = sink.posts
    signed = headers["X-Trainmaster-Timestamp"].encode() + b"." + body
    expected = "v1=" + hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(headers["X-Trainmaster-Signature"], expected)
    assert headers["X-Trainmaster-Delivery"] == MESSAGE.id and headers["Host"].startswith("127.0.0.1:")
    told = json.loads(body)
    assert told["notices"][0]["alarm"] == "a-1" and told["notices"][0]["count"] == 3


async def test_mail_arrives_whole_and_nobody_can_write_headers_into_it() -> None:
    with serving(SmtpSink()) as sink:
        await Carrier(networks([*HERE, "::1"])).send(mail(sink.port), MESSAGE, 1000.5)
    ((_, to, text),) = sink.mails
    assert len(to) == 2
    parsed = email.message_from_string(text, policy=email.policy.default)
    assert parsed["Subject"] == "[trainmaster] critical: r: it broke: é"
    assert parsed["Bcc"] is None
    assert "alarm a-1 since" in parsed.get_content()


@pytest.mark.parametrize(
    ("answer", "error"),
    [(500, ChannelRefused), (302, ChannelRefused), (404, ChannelRefused), (None, ChannelUnreachable)],
)
async def test_webhooks_that_refuse_redirect_or_hang(
    answer: int | None, error: type[TrainmasterError]
) -> None:
    with serving(WebhookSink()) as sink:
        sink.answer = answer
        with pytest.raises(error) as caught:
            await Carrier(networks(HERE), patience_s=0.5).send(hook(sink.url), MESSAGE, 5.0)
    assert len(sink.posts) == 1 and caught.value.remedy  # a redirect is not followed


@pytest.mark.parametrize("refuse", ["MAIL", "RCPT", "DATA"])
async def test_a_mail_server_that_refuses(refuse: str) -> None:
    with serving(SmtpSink(refuse=refuse)) as sink:
        with pytest.raises(ChannelRefused) as caught:
            await Carrier(networks([*HERE, "::1"])).send(mail(sink.port), MESSAGE, 5.0)
    assert "554" in caught.value.message and sink.mails == []


async def test_a_mail_server_that_hangs_or_cannot_encrypt_or_is_not_there() -> None:
    carrier = Carrier(networks([*HERE, "::1"]), patience_s=0.5)
    with serving(SmtpSink(hang=True)) as sink:
        with pytest.raises(ChannelUnreachable):
            await carrier.send(mail(sink.port), MESSAGE, 5.0)
    with serving(SmtpSink()) as sink:
        with pytest.raises(ChannelRefused):
            await carrier.send(mail(sink.port, security="starttls"), MESSAGE, 5.0)
        assert sink.mails == []
    with pytest.raises(ChannelUnreachable):
        await carrier.send(mail(closed_port()), MESSAGE, 5.0)
    with pytest.raises(ChannelUnreachable):
        await carrier.send(hook(f"http://127.0.0.1:{closed_port()}/"), MESSAGE, 5.0)


@IMGHDR
async def test_nothing_is_asked_of_private_addresses() -> None:
    with serving(WebhookSink()) as sink, serving(SmtpSink()) as post:
        for channel in (
            hook(sink.url),
            hook(sink.url.replace("127.0.0.1", "localhost")),
            mail(post.port),
            Channel("a", ChannelKind.APPRISE, {"url": sink.url.replace("http", "json")}),
        ):
            with pytest.raises(AddressForbidden) as caught:
                await Carrier().send(channel, MESSAGE, 5.0)
            assert "alarm_networks" in caught.value.remedy
        assert sink.posts == [] and post.mails == []


@IMGHDR
async def test_apprise_carries_them_too() -> None:
    with serving(WebhookSink()) as sink:
        channel = Channel("a", ChannelKind.APPRISE, {"url": sink.url.replace("http", "json")})
        await Carrier(networks(HERE)).send(channel, MESSAGE, 5.0)
        ((_, _, body),) = sink.posts
        assert json.loads(body)["title"].startswith("[trainmaster] critical: r")
        sink.answer = 500
        with pytest.raises(ChannelRefused):
            await Carrier(networks(HERE)).send(channel, MESSAGE, 5.0)


async def test_a_dead_channel_is_tried_again_and_delays_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainmaster.alarms.courier.FIRST_S", 0.05)
    monkeypatch.setattr("trainmaster.alarms.courier.MOST_ATTEMPTS", 4)
    store = SqlStore(f"sqlite:///{tmp_path}/store.db")
    await store.open()
    with serving(WebhookSink()) as dead, serving(WebhookSink()) as well:
        dead.answer = 500
        courier = Courier(store.alarms, Carrier(networks(HERE)), SystemClock(), Outbox())
        courier.channels = {"dead": hook(dead.url), "well": hook(well.url)}
        for name in ("dead", "well", "gone"):
            courier.put([Send(f"m-{name.encode().hex()}", name, 0.0, 0.0, MESSAGE.notices)])
        await courier.idle()
        await courier.close()
    ended = {send.channel: send for send in await store.alarms.sends(None, 10)}
    await store.close()
    assert ended["well"].state is SendState.SENT and len(well.posts) == 1
    assert (ended["dead"].state, ended["dead"].attempts) == (SendState.FAILED, 4) and len(dead.posts) == 4
    assert ended["dead"].code == "channel-refused" and "500" in ended["dead"].error
    assert ended["gone"].code == "channel-gone"
    deliveries = {headers["X-Trainmaster-Delivery"] for _, headers, _ in dead.posts}
    assert len(deliveries) == 1, "every attempt of a message has its id"


# --- through the service -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One for all; each test removes its rules."""
    yield from live(tmp_path_factory.mktemp("alarms") / "data", nodes=2, cores=4, alarm_networks=HERE)


def test_a_failure_reaches_people_and_somebody_takes_care(
    service: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(WebhookSink()) as sink, Client(service.url, service.token) as client:

        def cli(*words: str) -> tuple[int, str]:
            code = run(["--url", service.url, "--token", service.token, "alarm", *words])
            return code, capsys.readouterr().out

        with pytest.raises(InvalidAlarmRule):
            client.set_alarm_rule("r", condition="task-failed", channels=["ops"])
        with pytest.raises(InvalidChannel):
            client.set_channel("ops", "webhook", {"url": "gopher://x"})
        with pytest.raises(UnknownChannel):
            client.try_channel("ops")
        told = client.set_channel("ops", "webhook", {"url": sink.url, "secret": "s3cret"})
        assert told.settings["secret"] == "***"
        client.set_channel("ops", "webhook", {"url": sink.url})  # and the secret stays
        assert cli("channel", "test", "ops") == (0, "ops: sent\n")
        assert sink.posts[0][1]["X-Trainmaster-Signature"]
        code, _ = cli("add", "failures", "task-failed", "--tasks", "bad*", "--after", "2", "-c", "ops")
        assert code == 0
        assert "task-failed 2 times within" in cli("rules")[1]
        for name in ("bad-1", "good", "bad-2"):
            client.submit(name=name, command=["sh", "-c", "exit 3"], retry={"attempts": 1})
        wait_until(lambda: len(sink.posts) == 2, "the alarm is told")
        notice = json.loads(sink.posts[1][2])["notices"][0]
        assert notice["kind"] == "opened" and notice["count"] == 2 and "exited with 3" in notice["text"]
        (alarm,) = client.alarms().alarms
        assert alarm.id == notice["alarm"] and alarm.state == "OPEN" and alarm.told == 1
        assert cli("ack", alarm.id)[0] == 0
        (alarm,) = client.alarms().alarms
        assert alarm.state == "ACKNOWLEDGED" and alarm.acknowledged_by
        client.submit(name="bad-3", command=["false"])
        wait_until(lambda: client.alarms().alarms[0].count == 3, "it is counted")
        assert client.alarms().alarms[0].state == "ACKNOWLEDGED"
        (first, second) = client.sends("ops")
        assert (first.state, second.state) == ("SENT", "SENT") and second.notices[0].kind == "test"
        with pytest.raises(InvalidChannel):
            client.drop_channel("ops")  # a rule uses it
        assert cli("remove", "failures")[0] == 0
        wait_until(lambda: not client.alarms().alarms, "the alarm goes with its rule")
        assert [one.state for one in client.alarms(all=True).alarms] == ["RESOLVED"]
        assert cli("channel", "remove", "ops")[0] == 0
        assert "s3cret" not in service.log()


def test_alarms_survive_a_kill(service: Live) -> None:
    with serving(WebhookSink()) as sink:
        sink.answer = 500
        with Client(service.url, service.token) as client:
            client.set_channel("late", "webhook", {"url": sink.url})
            client.set_alarm_rule("r", condition="task-failed", channels=["late"])
            client.submit(name="bad", command=["false"])
            wait_until(lambda: sink.posts, "it is tried")
            wait_until(lambda: client.sends("late")[0].attempts, "that is recorded")
        service.kill()
        sink.answer = 204
        service.start()
        with Client(service.url, service.token) as client:
            wait_until(lambda: client.sends("late")[0].state == "SENT", "it is sent by the next life")
            assert len(client.sends("late")) == 1
            assert [alarm.count for alarm in client.alarms().alarms] == [1]
            client.drop_alarm_rule("r")
            wait_until(lambda: not client.alarms().alarms, "the alarm goes with its rule")
        assert len({headers["X-Trainmaster-Delivery"] for _, headers, _ in sink.posts}) == 1


@pytest.mark.timeout(300)
def test_a_storm_of_failures_makes_few_messages(service: Live) -> None:
    """10,000 failures, of as many groups as there are names, over a channel that works and one that hangs."""
    failures = 10_000
    with serving(WebhookSink()) as sink, serving(WebhookSink()) as dead:
        dead.answer = None
        with Client(service.url, service.token, timeout=120) as client:
            client.set_channel("ops", "webhook", {"url": sink.url})
            client.set_channel("dead", "webhook", {"url": dead.url})
            for name, group in (("all", "rule"), ("each", "name")):
                fields = {"condition": "task-failed", "group": group, "channels": ["ops", "dead"]}
                client.set_alarm_rule(name, **fields)  # type: ignore[arg-type]
            before = client.events(limit=1)[-1].seq
            began = time.time()
            for begin in range(0, failures, 1000):
                client.submit_many(
                    {"name": f"bad-{n}", "function": "math:sqrt", "arguments": [-1]}
                    for n in range(begin, begin + 1000)
                )
            counted = "every failure is counted, once by each rule"
            wait_until(lambda: _counted(client) == 2 * failures, counted, 200, 0.5)
            lasted = time.time() - began
            first = next(
                event for event in client.events(after=before, limit=10_000) if event.kind == "task-failed"
            )
            # At most one at once and one more for every 30 s, whatever happens.
            assert 1 <= len(sink.posts) <= 1 + lasted / 30 + 1
            assert sink.posts[0][0] - first.time <= 5.0
            assert len(client.alarms(limit=1000).alarms) == 1 + 201
            assert len(dead.posts) <= 2 + lasted / 5


def _counted(client: Client) -> int:
    return sum(alarm.count for alarm in client.alarms(limit=1000).alarms)


def test_no_loop_is_held_up_by_a_thread_that_hangs() -> None:
    """Blocking channels run in threads that nobody joins."""

    async def main() -> float:
        with serving(SmtpSink(hang=True)) as sink:
            began = time.monotonic()
            with pytest.raises(ChannelUnreachable):
                await Carrier(networks([*HERE, "::1"]), patience_s=0.2).send(mail(sink.port), MESSAGE, 5.0)
            return time.monotonic() - began

    assert asyncio.run(main()) < 5
