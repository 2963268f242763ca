"""The what-if page over a real history."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from playwright.sync_api import Route, expect

from tests.e2e.visitor import Visitor
from tests.live import Live
from trainmaster.client import Client

pytestmark = pytest.mark.needs("chromium")


def test_whatif_page(visit: Callable[..., Visitor], live_service: Live) -> None:
    visitor = visit(live_service, width=390, height=900)
    visitor.expected.add(404)
    page = visitor.page

    def late(route: Route) -> None:
        page.wait_for_timeout(300)
        route.continue_()

    # The profiles to choose from come late: nothing can be replayed before.
    page.route("**/profiles", late)
    visitor.go("/policies")
    page.get_by_role("link", name="What if it had been in use?").first.click()
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("no task ran within the last 7 d")).to_be_visible()
    with Client(live_service.url, live_service.token) as client:
        tasks = [client.submit(command=["true"], cpus=0.1, name=f"quick-{n}") for n in range(3)]
        for task in tasks:
            client.wait(task.id, timeout=60)
    page.get_by_label("Nodes").fill("3")
    page.get_by_role("button", name="Replay").click()
    row = page.get_by_role("row", name="Tasks ended")
    expect(row.get_by_role("cell").last).to_have_text("3 of 3")
    expect(page.get_by_role("link", name="quick-0")).to_be_visible()
    assert visitor.too_wide() <= 0
    if folder := os.environ.get("TRAINMASTER_SHOTS"):
        page.screenshot(path=f"{folder}/whatif.png", full_page=True)
