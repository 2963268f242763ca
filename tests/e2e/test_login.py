"""Who may see the page, and what another site may do with a browser's cookie."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest
from playwright.sync_api import expect

from tests.e2e.visitor import Visitor
from tests.live import Live


def test_needs_a_token(shared_service: Live) -> None:
    for path in (
        "/",
        "/tasks",
        "/tasks/t-0000000000",
        "/tasks/t-0000000000/log",
        "/nodes",
        "/forecast",
        "/policies",
    ):
        answer = httpx2.get(shared_service.url + path)
        assert answer.status_code == 401
        assert "Log in" in answer.text
    assert httpx2.get(shared_service.url + "/?t=wrong").status_code == 401


def test_link_becomes_a_cookie(shared_service: Live) -> None:
    answer = httpx2.get(f"{shared_service.url}/tasks?t={shared_service.token}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/tasks")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("trainmaster=") and "HttpOnly" in cookie and "SameSite=strict" in cookie


def test_policy_forbids_everything_from_outside(shared_service: Live) -> None:
    answer = httpx2.get(shared_service.url + "/", cookies={"trainmaster": shared_service.token})
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert shared_service.token not in answer.text


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_cookie_alone_changes_nothing(shared_service: Live, kind: str | None) -> None:
    with httpx2.Client(base_url=shared_service.url, cookies={"trainmaster": shared_service.token}) as client:
        headers = {"content-type": kind} if kind else {}
        answer = client.post("/v1/nodes/node-1/drain", content=b'{"drain": true}', headers=headers)
        assert answer.status_code == 415
        assert answer.json()["code"] == "json-needed"
        assert client.get("/v1/nodes/node-1").json()["state"] == "UP"
        answer = client.post("/v1/nodes/node-1/drain", json={"drain": False})
        assert answer.status_code == 200
    # A token in the header is nobody's by accident.
    with shared_service.client() as client:
        assert client.post("/v1/tasks/t-0000000000/cancel").status_code == 404


def test_assets_are_named_by_content(shared_service: Live) -> None:
    text = httpx2.get(shared_service.url + "/").text
    sheet = text.split('href="/assets/')[1].split('"')[0]
    answer = httpx2.get(f"{shared_service.url}/assets/{sheet}")
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert httpx2.get(f"{shared_service.url}/assets/older/css/base.css").status_code == 404


@pytest.mark.needs("chromium")
def test_pasted_token(visit: Callable[..., Visitor], shared_service: Live) -> None:
    visitor = visit(shared_service, login=False)
    visitor.expected.add(401)
    page = visitor.page
    visitor.go("/nodes")
    page.get_by_label("Token").fill("tm_wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#trouble")).to_contain_text("this token is not known")
    page.get_by_label("Token").fill(shared_service.token)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Nodes")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
