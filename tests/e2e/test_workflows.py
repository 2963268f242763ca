"""Workflows in the browser: run one, look at its stages, resume it; and one of ten thousand stages."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.visitor import Visitor
from tests.live import Live
from trainmaster.client import Client, Workflow

pytestmark = [pytest.mark.needs("chromium"), pytest.mark.timeout(300)]

STAGES = 10_000


@pytest.fixture
def client(shared_service: Live) -> Iterator[Client]:
    with Client(shared_service.url, shared_service.token) as client:
        yield client


def shot(visitor: Visitor, name: str) -> None:
    if folder := os.environ.get("TRAINMASTER_SHOTS"):
        visitor.page.wait_for_timeout(500)
        visitor.page.screenshot(path=f"{folder}/{name}.png", full_page=False)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_run_that_fails_and_is_resumed(
    visit: Callable[..., Visitor],
    shared_service: Live,
    client: Client,
    tmp_path: Path,
    width: int,
    scheme: str,
) -> None:
    name = f"page-{width}-{scheme}"
    flow = Workflow(name, parameters={"day": "mon"}, description="Loads, checks and trains.")
    load = flow.stage("load", command=["true"], cpus=0.1)
    check = flow.stage("check", command=["test", "-e", str(tmp_path / "mended")], cpus=0.1, after=[load])
    flow.stage("train", command=["true"], cpus=0.1, shards=4, after=[check])
    flow.stage("tell", command=["true"], cpus=0.1, after=[check], when="failed")
    client.define_workflow(flow)
    visitor = visit(shared_service, width=width, height=900, scheme=scheme)
    page = visitor.page
    page.get_by_role("link", name="Workflows").click()
    page.get_by_role("link", name=name, exact=True).first.click()
    page.get_by_role("button", name="Run").click()
    page.get_by_role("dialog").get_by_label("day").fill("tue")
    page.get_by_role("dialog").get_by_role("button", name="Run").click()
    head = page.locator(".view-head")
    expect(head.locator(".state")).to_contain_text("Failed")
    expect(page.locator(".facts")).to_contain_text('{"day":"tue"}')
    expect(page.locator(".flow-counts").first).to_contain_text("1 failed")
    page.locator(".flow-name", has_text="train").click()
    expect(page.locator(".flow-stage")).to_contain_text("it runs when all before it succeed; check failed")
    shot(visitor, f"workflow-run-{width}-{scheme}")
    assert visitor.too_wide() <= 0
    (tmp_path / "mended").touch()
    page.get_by_role("button", name="Resume").click()
    expect(head.locator(".state")).to_contain_text("Succeeded")
    expect(page.locator(".flow-stage")).to_contain_text("train")
    expect(page.locator(".flow-stage tbody tr")).to_have_count(4)
    page.get_by_role("link", name=f"{name} v1").click()
    expect(page.locator(".flow-grid canvas")).to_be_visible()
    shot(visitor, f"workflow-{width}-{scheme}")
    assert visitor.too_wide() <= 0


# The longest time the page did not answer, in milliseconds, by the browser's own account.
WATCH = """() => {
    window.longest = 0;
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.longest = Math.max(window.longest, entry.duration);
    }).observe({ type: "longtask", buffered: true });
}"""


def test_ten_thousand_stages_are_drawn_and_answer(
    visit: Callable[..., Visitor], shared_service: Live, client: Client
) -> None:
    width = 100
    stages = {"gate": {"command": ["sleep", "300"], "cpus": 0.1}}
    for number in range(STAGES - 1):
        layer, at = divmod(number, width)
        before = [f"s{(layer - 1) * width + (at + n) % width}" for n in (0, 1, 7)] if layer else ["gate"]
        stages[f"s{number}"] = {"command": ["true"], "cpus": 0.1, "after": before}
    run = client.run_workflow({"name": "huge", "stages": stages})
    visitor = visit(shared_service)
    page = visitor.page
    page.evaluate(WATCH)
    visitor.go(f"/workflows/huge/{run.id}?stage=s5050")
    page.evaluate(WATCH)
    expect(page.locator(".flow-stage")).to_contain_text("waits for s4950 (WAITING)")
    expect(page.locator(".flow-counts").first).to_contain_text("9999 waiting")
    canvas = page.locator(".flow-graph canvas")
    canvas.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".flow-stage h2")).to_have_text("s4950")
    shot(visitor, "workflow-huge-near")
    page.get_by_role("button", name="All of it").click()
    expect(page.locator(".flow-note").first).to_contain_text("Too many lines")
    shot(visitor, "workflow-huge-all")
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 300, box["y"] + 150)
    for _ in range(6):
        page.mouse.wheel(0, -200)
    page.mouse.down()
    page.mouse.move(box["x"] + 100, box["y"] + 80, steps=10)
    page.mouse.up()
    page.get_by_role("button", name="Failed").click()
    expect(page.locator(".flows tbody tr td .flow-name")).to_have_count(0)
    assert page.evaluate("document.querySelectorAll('*').length") < 2000
    print("longest task of the page:", page.evaluate("window.longest"), "ms")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".view-head .state")).to_contain_text("Cancelled")
    expect(page.locator(".flow-counts").first).to_contain_text("10000 cancelled")
