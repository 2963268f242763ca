"""Mail over SMTP, by the standard library in a thread."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from trainmaster.alarms.channels.addresses import port_of
from trainmaster.alarms.channels.message import body, subject
from trainmaster.domain.alarm import Send
from trainmaster.domain.errors import ChannelRefused, ChannelUnreachable, InvalidChannel

SECURITY = {"none": 25, "starttls": 587, "tls": 465}  # with the usual ports
ANSWER_S = 10.0  # for every answer of the server


def check(settings: dict[str, str]) -> None:
    """Raises InvalidChannel."""
    security(settings)
    port(settings)
    _addresses(settings["sender"], "sender")
    _addresses(settings["to"], "to")
    if bool(settings.get("user")) != bool(settings.get("password")):
        raise InvalidChannel("user and password go together", remedy="give both or none", field="password")
    if settings.get("user") and security(settings) == "none":
        raise InvalidChannel(
            "security: a password would cross the network in the clear", remedy="use starttls or tls",
            field="security",
        )  # fmt: skip
    host = settings["host"]
    if not host or not host.isprintable() or any(letter in host for letter in " /@"):
        raise InvalidChannel(
            f"host: {host!r} is no host", remedy="write it like mail.example.org", field="host"
        )


def security(settings: dict[str, str]) -> str:
    found = settings.get("security", "starttls")
    if found not in SECURITY:
        raise InvalidChannel(
            f"security: {found!r} is not known", remedy="use " + ", ".join(SECURITY), field="security"
        )
    return found


def port(settings: dict[str, str]) -> int:
    given = settings.get("port")
    return port_of(given, "port") if given else SECURITY[security(settings)]


class Mail:
    """One delivery. `run` blocks, in a thread; `abandon`, from any other, ends it at once."""

    def __init__(self, settings: dict[str, str], message: Send, now: float, addresses: Sequence[str]) -> None:
        self._settings = settings
        self._message = message
        self._now = now
        self._addresses = addresses
        self._socket: socket.socket | None = None
        self._abandoned = False

    def run(self) -> None:
        """Raises ChannelUnreachable, ChannelRefused."""
        host, where = self._settings["host"], port(self._settings)
        try:
            with self._connect(host, where) as server:
                if security(self._settings) == "starttls":
                    server.starttls(context=ssl.create_default_context())
                if self._settings.get("user"):
                    server.login(self._settings["user"], self._settings["password"])
                server.send_message(self._mail())
        except smtplib.SMTPRecipientsRefused as error:
            codes = sorted({code for code, _ in error.recipients.values()})
            raise ChannelRefused(f"{host}:{where} refuses the recipients: {codes}", host=host) from None
        except smtplib.SMTPResponseException as error:
            said = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else ""
            raise ChannelRefused(
                f"{host}:{where} answered {error.smtp_code} {said[:200]}", host=host
            ) from None
        except (smtplib.SMTPNotSupportedError, ssl.SSLError) as error:
            raise ChannelRefused(f"{host}:{where}: {error}", host=host) from None
        except (smtplib.SMTPException, OSError) as error:
            said = "it was given up" if self._abandoned else str(error) or type(error).__name__
            raise ChannelUnreachable(f"{host}:{where}: {said}", host=host) from None

    def abandon(self) -> None:
        self._abandoned = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _connect(self, host: str, where: int) -> smtplib.SMTP:
        """To a checked address, while certificates are compared with the name."""
        mail = self

        class Pinned(smtplib.SMTP_SSL if security(self._settings) == "tls" else smtplib.SMTP):  # type: ignore[misc]
            def _get_socket(self, host: str, port: int, timeout: float) -> Any:
                raw = mail._open(port, timeout)
                if not isinstance(self, smtplib.SMTP_SSL):
                    return raw
                # The socket to shut down stays the plain one: the wrapped one takes its descriptor over.
                wrapped = ssl.create_default_context().wrap_socket(raw, server_hostname=host)
                mail._socket = wrapped
                return wrapped

        return Pinned(host, where, timeout=ANSWER_S, local_hostname="trainmaster")

    def _open(self, where: int, timeout: float) -> socket.socket:
        failed: OSError | None = None
        for address in self._addresses:
            try:
                self._socket = socket.create_connection((address, where), timeout)
            except OSError as error:
                failed = error
            else:
                if self._abandoned:
                    self._socket.close()
                    raise OSError("it was given up")
                return self._socket
        raise failed or OSError("it has no address")

    def _mail(self) -> EmailMessage:
        mail = EmailMessage()
        mail["Subject"] = subject(self._message)
        mail["From"] = _addresses(self._settings["sender"], "sender")
        mail["To"] = _addresses(self._settings["to"], "to")
        mail["Date"] = format_datetime(datetime.fromtimestamp(self._now, UTC))
        mail["Message-ID"] = f"<{self._message.id}@trainmaster>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(body(self._message))
        return mail


def _addresses(text: str, field: str) -> list[Address]:
    """`"a@example.org, b@example.org"`. Raises InvalidChannel."""
    found = []
    for part in text.split(","):
        try:
            found.append(Address(addr_spec=part.strip()))
        except (ValueError, IndexError):
            found = []
            break
        if not found[-1].domain or not part.strip().isascii() or not part.strip().isprintable():
            found = []
            break
    if not found or len(found) > 50 or (field == "sender" and len(found) != 1):
        raise InvalidChannel(
            f"{field}: {text!r} is not an address", remedy="write it like ops@example.org", field=field
        )
    return found
