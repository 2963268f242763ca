"""Who looks at the page: the token in its cookie."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from trainmaster.service.access import Person, Role, Unauthenticated
from trainmaster.service.service import Service

COOKIE = "trainmaster"  # the HTTP interface reads the same one
_MONTH_S = 30 * 86400


def visitor(request: Request, service: Service) -> Person | None:
    """Whoever the cookie says, everybody where no login is needed, or None."""
    if not request.app.state.auth:
        return Person(request.app.state.anonymous, Role.ADMIN, "")
    try:
        return service.access.person(request.cookies.get(COOKIE))
    except Unauthenticated:
        return None


def remember(request: Request, response: Response, token: str) -> None:
    """Out of reach of scripts, never sent along from other sites, and over TLS only where there is TLS."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=_MONTH_S,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )


def forget(response: Response) -> None:
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
