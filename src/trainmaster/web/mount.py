"""Puts the page on the application that serves the HTTP interface."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import Body, FastAPI, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from trainmaster import __version__
from trainmaster.service.access import Person, Unauthenticated
from trainmaster.service.service import Service
from trainmaster.web.assets import STATIC, Assets, fingerprint
from trainmaster.web.cookie import forget, remember, visitor
from trainmaster.web.guard import CookieGuard

# Every address the page has. The frame is the same; its modules read the address and draw the view.
VIEWS = (
    "/", "/tasks", "/tasks/{task}", "/tasks/{task}/{tab}", "/workflows", "/workflows/{workflow}",
    "/workflows/{workflow}/{run}", "/nodes", "/triggers", "/triggers/{trigger}", "/forecast", "/policies",
    "/policies/whatif", "/alarms",
)  # fmt: skip

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # an address may hold a token until it is exchanged for the cookie
    "Cache-Control": "no-store",
}


def service_of(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def mount(app: FastAPI) -> None:
    """Add the page, its login and its assets to `app`, whose present service it asks."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    assets = f"/assets/{fingerprint()}"
    app.mount(assets, Assets(directory=STATIC), name="assets")
    app.add_middleware(CookieGuard)

    def page(template: str, status: int = 200, **values: object) -> HTMLResponse:
        html = templates.get_template(template).render(assets=assets, version=__version__, **values)
        return HTMLResponse(html, status, headers=_HEADERS)

    def frame(person: Person) -> HTMLResponse:
        return page("frame.html", user=person.name, role=person.role.name.lower(), auth=app.state.auth)

    async def view(request: Request) -> Response:
        token = request.query_params.get("t")
        if token is not None and app.state.auth:
            return _enter(request, token)
        person = visitor(request, service_of(request))
        return frame(person) if person is not None else page("login.html", 401, trouble="")

    def _enter(request: Request, token: str) -> Response:
        """Exchange the token in the address for the cookie, and take it out of the address."""
        try:
            service_of(request).access.person(token)
        except Unauthenticated as error:
            return page("login.html", 401, trouble=error.message)
        response = RedirectResponse(request.url.path, 303, headers=_HEADERS)
        remember(request, response, token)
        return response

    for path in VIEWS:
        app.add_api_route(path, view, methods=["GET"], include_in_schema=False)

    @app.post("/login", include_in_schema=False)
    async def login(request: Request, token: Annotated[str, Body(embed=True, max_length=500)]) -> Response:
        service_of(request).access.person(token.strip())
        response = JSONResponse({"ok": True}, headers=_HEADERS)
        remember(request, response, token.strip())
        return response

    @app.post("/logout", include_in_schema=False)
    async def logout() -> Response:
        response = JSONResponse({"ok": True}, headers=_HEADERS)
        forget(response)
        return response

    @app.get("/favicon.ico", include_in_schema=False)
    async def icon() -> Response:
        return RedirectResponse(f"{assets}/img/icon.svg", 307)
