"""The page of alarms: one opens, somebody takes care of it, and it is over with its rule."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.e2e.visitor import Visitor
from tests.live import Live, wait_until

pytestmark = pytest.mark.needs("chromium")


def test_alarms_page(visit: Callable[..., Visitor], live_service: Live) -> None:
    visitor = visit(live_service, width=390, height=900)
    page = visitor.page
    page.get_by_role("link", name="Alarms").click()
    expect(page.get_by_text("No alarm is open.")).to_be_visible()
    expect(page.get_by_text("trainmaster alarm add failures")).to_be_visible()
    with live_service.client() as client:
        rule = {"condition": "task-failed", "severity": "critical", "group": "name"}
        assert client.put("/v1/alarm-rules/failures", json=rule).status_code == 200
        for name in ("<b>one</b>", "two"):
            task = {"name": name, "command": ["false"], "cpus": 0.25}
            assert client.post("/v1/tasks", json=task).status_code == 201
        wait_until(lambda: len(client.get("/v1/alarms").json()["alarms"]) == 2, "two alarms are open")
    one = page.locator(".alarm", has_text="<b>one</b>")
    expect(one).to_contain_text("exited with 1")
    expect(page.locator('[data-count="/alarms"]')).to_have_text("2")
    one.get_by_role("button", name="Acknowledge").click()
    expect(one).to_contain_text("takes care of it")
    expect(page.locator(".view-head")).to_contain_text("1 open, 1 acknowledged")
    assert visitor.too_wide() <= 0
    if folder := os.environ.get("TRAINMASTER_SHOTS"):
        page.screenshot(path=f"{folder}/alarms-390.png")
        page.set_viewport_size({"width": 1280, "height": 800})
        page.screenshot(path=f"{folder}/alarms-1280.png")
    with live_service.client() as client:
        assert client.delete("/v1/alarm-rules/failures").status_code == 204
    expect(page.get_by_text("No alarm is open.")).to_be_visible()
    page.get_by_label("Show those that are over").check()
    expect(page.locator(".alarm")).to_have_count(2)
    one.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("<b>one</b>")
