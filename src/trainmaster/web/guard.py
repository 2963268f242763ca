"""Keeps other sites from acting with a browser's cookie.

SameSite=Strict keeps the cookie from other *sites*, but another port of the same host is the same site. So a
change that is authorised by the cookie must also be JSON, which a page of another origin cannot send without
asking first (CORS), and nobody here answers that question.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from trainmaster.web.cookie import COOKIE

_HARMLESS = {"GET", "HEAD", "OPTIONS"}


class CookieGuard:
    """Refuses changes that carry the cookie, no Authorization header, and no JSON content type."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (
            scope["type"] == "http"
            and scope["method"] not in _HARMLESS
            and _by_cookie_only(Headers(scope=scope))
        ):
            problem = {
                "type": "urn:trainmaster:json-needed",
                "title": "Json needed",
                "status": 415,
                "code": "json-needed",
                "detail": "a change made with the page's cookie must have the content type application/json",
                "remedy": "send Content-Type: application/json, or a token in the Authorization header",
                "fields": {},
            }
            response = JSONResponse(problem, 415, media_type="application/problem+json")
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _by_cookie_only(headers: Headers) -> bool:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    cookies = [part.partition("=")[0].strip() for part in headers.get("cookie", "").split(";")]
    return COOKIE in cookies and "authorization" not in headers and kind != "application/json"
