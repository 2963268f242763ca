"""A webhook: one signed POST of JSON.

`X-Trainmaster-Signature: v1=…` is HMAC-SHA256 with the channel's secret over the timestamp header, a dot and
the body, in hexadecimal. A receiver recomputes it, compares in constant time, and refuses old timestamps.
`X-Trainmaster-Delivery` is the message's id: one delivered twice has the same.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from trainmaster.alarms.channels.message import payload
from trainmaster.domain.alarm import Send
from trainmaster.domain.errors import ChannelRefused, ChannelUnreachable, InvalidChannel

# From a host and a port to checked addresses.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


def signature(secret: str, timestamp: str, body: bytes) -> str:
    digest = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    return "v1=" + digest.hexdigest()


def check(settings: dict[str, str]) -> None:
    """Raises InvalidChannel."""
    _parts(settings["url"])


async def send(settings: dict[str, str], message: Send, now: float, resolve: Resolve) -> None:
    """POST it once. Any answer of 2xx is taken; redirects are refused, for they could lead anywhere.

    Raises AddressForbidden, ChannelUnreachable, ChannelRefused. The caller bounds the time.
    """
    import httpx2  # here, since most services send nothing: it is felt in memory and at the start

    host, port, target = _parts(settings["url"])
    body, timestamp = payload(message), str(int(now))
    headers = {
        "Host": urlsplit(settings["url"]).netloc.rpartition("@")[2],
        "Content-Type": "application/json",
        "User-Agent": "trainmaster",
        "X-Trainmaster-Delivery": message.id,
        "X-Trainmaster-Timestamp": timestamp,
    }
    if settings.get("secret"):
        headers["X-Trainmaster-Signature"] = signature(settings["secret"], timestamp, body)
    failed: Exception | None = None
    # Proxies of the environment would connect for us, to wherever they please.
    async with httpx2.AsyncClient(follow_redirects=False, trust_env=False, timeout=None) as http:
        for address in await resolve(host, port):
            pinned = f"[{address}]" if ":" in address else address
            scheme = urlsplit(settings["url"]).scheme
            try:
                # The certificate must be the name's, though the connection goes to the address.
                async with http.stream(
                    "POST", f"{scheme}://{pinned}:{port}{target}", content=body, headers=headers,
                    extensions={"sni_hostname": host},
                ) as response:  # fmt: skip
                    status = response.status_code  # the body is not read: it may have no end
            except httpx2.ConnectError as error:
                failed = error
                continue
            except httpx2.HTTPError as error:
                raise ChannelUnreachable(f"{host}:{port}: {_said(error)}", host=host, port=port) from None
            if not 200 <= status < 300:
                raise ChannelRefused(f"{host}:{port} answered {status}", host=host, port=port, answer=status)
            return
    raise ChannelUnreachable(f"{host}:{port}: {_said(failed)}", host=host, port=port)


def _parts(url: str) -> tuple[str, int, str]:
    """Host, port, and the path with its query. Raises InvalidChannel."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if (
        parts.scheme not in ("http", "https")
        or not host
        or parts.username is not None
        or not url.isprintable()
    ):
        raise InvalidChannel(
            "url: this is not the address of a webhook",
            remedy="write it like https://example.org/hooks/trainmaster, without a user name",
            field="url",
        )
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return host, port or (443 if parts.scheme == "https" else 80), target


def _said(error: Exception | None) -> str:
    return (str(error) or type(error).__name__) if error is not None else "it has no address"
