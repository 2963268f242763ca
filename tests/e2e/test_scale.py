"""Much of everything: what exists in the page stays bounded, and both ends can be reached."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.live import Live, wait_until

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.timeout(300)]

TASKS = 10_000
LINES = 300_000


def test_ten_thousand_tasks(page: Page, live_service: Live) -> None:
    with live_service.client() as client:
        gate = client.post(
            "/v1/tasks", json={"name": "gate", "command": ["sleep", "300"], "cpus": 0.1}
        ).json()["id"]
        many = [
            {"name": f"job-{n:05d}", "command": ["true"], "cpus": 0.1, "after": [gate]} for n in range(TASKS)
        ]
        for begin in range(0, TASKS, 5000):
            answer = client.post("/v1/tasks/batch", json={"tasks": many[begin : begin + 5000]})
            assert all(item["id"] for item in answer.json()["tasks"])
    page.goto(live_service.url + "/tasks")
    rows = page.locator("tr[data-id]")
    expect(rows.first).to_contain_text(f"job-{TASKS - 1:05d}")
    expect(page.get_by_role("button", name="All")).to_contain_text("10,001")
    scroll = page.locator(".task-scroll")

    def at_gate() -> bool:
        assert rows.count() < 80
        scroll.evaluate("box => { box.scrollTop = box.scrollHeight; }")
        return page.locator(f"tr[data-id={gate}]").count() == 1

    wait_until(at_gate, "the first task is in sight", within_s=120)
    expect(page.locator("table.tasks")).to_have_attribute("aria-rowcount", str(TASKS + 2))
    page.locator(f"tr[data-id={gate}] input").check()
    page.get_by_role("button", name="Cancel them").click()
    # Everything that waited for it is cancelled with it, and every row that comes in sight says so.
    expect(page.locator(f"tr[data-id={gate}] .state")).to_have_text("Cancelled")
    scroll.evaluate("box => { box.scrollTop = box.scrollHeight / 2; }")
    expect(rows.nth(20).locator(".state")).to_have_text("Cancelled", timeout=60_000)


def test_a_long_log(page: Page, live_service: Live) -> None:
    script = f"seq 1 150000; echo 'ValueError: half way' >&2; seq 150001 {LINES}"
    with live_service.client() as client:
        body = {"name": "long", "command": ["sh", "-c", script], "cpus": 0.5}
        task = client.post("/v1/tasks", json=body).json()["id"]
        wait_until(
            lambda: client.get(f"/v1/tasks/{task}/logs?limit=1").json()["complete"], "all is stored", 60
        )
    page.goto(f"{live_service.url}/tasks/{task}/log")
    log = page.get_by_role("log")
    lines = log.locator(".line-row .text")
    expect(lines.get_by_text(str(LINES), exact=True)).to_be_visible()

    def higher() -> bool:
        assert lines.count() < 200
        log.evaluate("box => { box.scrollTop = 0; }")
        numbers = [int(text) for text in lines.all_inner_texts() if text.isdigit()]
        return bool(numbers) and min(numbers) < LINES - 20_000

    wait_until(higher, "20,000 lines up", within_s=60, every_s=0.05)
    shown = [int(text) for text in lines.all_inner_texts() if text.isdigit()]
    assert sorted(shown) == list(range(min(shown), max(shown) + 1))
    page.get_by_role("button", name="To the first line").click()
    expect(lines.get_by_text("1", exact=True)).to_be_visible()
    page.get_by_role("button", name="First error").click()
    expect(log.locator("[data-marked]")).to_contain_text("ValueError: half way")
    page.get_by_role("button", name=re.compile("^Follow")).click()
    expect(lines.get_by_text(str(LINES), exact=True)).to_be_visible()
