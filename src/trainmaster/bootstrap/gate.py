"""The HTTP interface of a process that does not lead: requests go to the leader while there is one."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httpx2
import structlog

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = structlog.get_logger(__name__)

# What every process knows for itself: alarms, which lie in the database, and the page's files.
_OWN = ("/v1/alarms", "/v1/alarm-rules", "/v1/channels", "/assets/", "/openapi.json", "/docs")
# Headers of one hop (RFC 9110, 7.6.1), and those the server sets anew.
_HOPS = "connection keep-alive te trailer transfer-encoding upgrade host date"
_HOP = frozenset(_HOPS.encode().split())
_MOST_BODY = 64 * 1024 * 1024
_CONNECT_S = 1.0


class Gate:
    """`leader`: address of another process that leads, None if there is none or we lead ourselves.

    `ours`: called before a request is answered here, with True if it is about more than _OWN. A request
    that never reached the leader is answered here, as is one whose repetition changes nothing; else the
    caller is told to try again.
    """

    def __init__(
        self, app: Any, leader: Callable[[], str | None], ours: Callable[[bool], Awaitable[None]]
    ) -> None:
        self._app = app
        self._leader = leader
        self._ours = ours
        self._http = httpx2.AsyncClient(
            timeout=httpx2.Timeout(None, connect=_CONNECT_S), trust_env=False, follow_redirects=False,
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=32),
        )  # fmt: skip

    async def close(self) -> None:
        await self._http.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await _body(receive)
        leader, own = self._leader(), scope["path"].startswith(_OWN)
        if leader is not None and not own:
            told = _Told(send)
            try:
                await self._forward(leader, scope, body, told)
                return
            except httpx2.TransportError as error:
                if told.began:
                    raise  # the client sees a cut answer, as it would with the leader itself
                if not _safe(scope, error):
                    await _try_again(send)
                    return
        await self._ours(not own)
        await self._app(scope, _replay(body, receive), send)

    async def _forward(self, leader: str, scope: Scope, body: bytes, send: Send) -> None:
        query = scope["query_string"].decode("latin-1")
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
        headers = [(name, value) for name, value in scope["headers"] if name.lower() not in _HOP]
        headers.append((b"host", dict(scope["headers"]).get(b"host", b"trainmaster")))
        async with self._http.stream(
            scope["method"], f"{leader}{path}" + (f"?{query}" if query else ""), headers=headers, content=body
        ) as response:
            kept = [(name.lower(), value) for name, value in response.headers.raw if name.lower() not in _HOP]
            await send({"type": "http.response.start", "status": response.status_code, "headers": kept})
            async for chunk in response.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class _Told:
    """Remembers whether the answer has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.began = False

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        self.began = True
        await self._send(message)


def _safe(scope: Scope, error: httpx2.TransportError) -> bool:
    """Would answering it ourselves do nothing twice?"""
    if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout) or scope["method"] in ("GET", "HEAD"):
        return True
    return any(name.lower() == b"idempotency-key" for name, _ in scope["headers"])


async def _body(receive: Receive) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size <= _MOST_BODY:  # the rest is not kept: the application refuses what is cut
            parts.append(part)
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> MutableMapping[str, Any]:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again


async def _try_again(send: Send) -> None:
    body = (
        b'{"type":"urn:trainmaster:deposed","title":"Deposed","status":503,"code":"deposed",'
        b'"detail":"the leader went away while it had the request: its outcome is unknown",'
        b'"remedy":"look whether it was done, and try again","fields":{}}'
    )
    headers = [(b"content-type", b"application/problem+json"), (b"retry-after", b"2")]
    with contextlib.suppress(OSError):
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": body})
