"""The pages of triggers: look, pause, run now, go on, and the history of one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.e2e.visitor import Visitor
from tests.live import Live, live, wait_until
from trainmaster.client import Client, Workflow

pytestmark = pytest.mark.needs("chromium")


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    for service in live(tmp_path_factory.mktemp("timed") / "data", nodes=2, cores=4):
        begin = time.time() - 6 * 3600
        task: Any = {"command": ["true"], "cpus": 0.1}
        with Client(service.url, service.token) as client:
            client.triggers.add(name="nightly", cron="30 2 * * *", zone="Europe/Berlin", task=task)
            client.triggers.add(
                name="half-hourly report with a rather long name", every="30m", start=begin, task=task
            )
            client.triggers.add(name="never again", at=time.time() + 1, task=task)
            late = "half-hourly report with a rather long name"
            client.triggers.backfill(late, begin, begin + 4 * 3600, start=True)
            wait_until(lambda: service_ended(client), "the back-fill is done")
        yield service


def service_ended(client: Client) -> bool:
    return not any(not task.ended for task in client.tasks(limit=50))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_triggers_page(visit: Callable[..., Visitor], timed: Live, width: int, scheme: str) -> None:
    visitor = visit(timed, width=width, height=900, scheme=scheme)
    page = visitor.page
    page.get_by_role("link", name="Triggers").click()
    rows = page.locator(".trigger")
    expect(rows).to_have_count(3)
    row = rows.filter(has_text="nightly")
    expect(row).to_contain_text("30 2 * * * · Europe/Berlin")
    row.get_by_role("button", name="Pause").click()
    expect(row.locator(".chip")).to_have_text("paused")
    row.get_by_role("button", name="Run now").click()
    expect(row).to_contain_text("by hand")
    row.get_by_role("button", name="Resume").click()
    expect(row.get_by_role("button", name="Pause")).to_be_visible()
    expect(row.locator(".chip")).to_have_count(0)
    assert visitor.too_wide() <= 0
    shots = Path(os.environ["TRAINMASTER_SHOTS"]) if "TRAINMASTER_SHOTS" in os.environ else None
    if shots:
        page.screenshot(path=f"{shots}/triggers-{width}-{scheme}.png")
    rows.filter(has_text="half-hourly").get_by_role("link").first.click()
    expect(page.locator("h1")).to_have_text("half-hourly report with a rather long name")
    expect(page.locator(".firings tbody tr")).to_have_count(8)
    expect(page.locator(".firings")).to_contain_text("back-fill")
    expect(page.locator(".due-times li")).to_have_count(8)
    assert visitor.too_wide() <= 0
    if shots:
        page.screenshot(path=f"{shots}/trigger-{width}-{scheme}.png", full_page=True)
    page.go_back()
    page.get_by_role("button", name="week").click()
    expect(page).to_have_url(f"{timed.url}/triggers?span=week")


def test_a_workflow_by_the_clock(visit: Callable[..., Visitor], timed: Live) -> None:
    """Made with the form, run by hand, and followed to its run."""
    flow = Workflow("etl", parameters={"day": {"type": "string"}})
    flow.stage("load", command=["true"], cpus=0.1)
    with Client(timed.url, timed.token) as client:
        client.define_workflow(flow)
    visitor = visit(timed, width=1280, height=900)
    page = visitor.page
    page.get_by_role("link", name="Workflows").click()
    page.get_by_role("link", name="etl", exact=True).first.click()
    page.get_by_role("button", name="Schedule").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Name").fill("daily etl")
    form.get_by_label("When").fill("0 5 * * *")
    form.get_by_label("day").fill("${{ due.date }}")
    form.get_by_role("button", name="Make it").click()
    expect(form).to_have_count(0)
    expect(page.locator("h1")).to_have_text("daily etl")
    expect(page.locator(".facts")).to_contain_text("workflow etl with day = ${{ due.date }}")
    assert page.locator('.calendar td[data-tone="accent"]').count() >= 21, "a due time each day"
    page.get_by_role("button", name="Run now").click()
    expect(page.locator(".firings tbody tr")).to_contain_text("by hand")
    if "TRAINMASTER_SHOTS" in os.environ:
        page.screenshot(path=f"{os.environ['TRAINMASTER_SHOTS']}/trigger-workflow.png", full_page=True)
    page.locator(".firings tbody a").click()
    expect(page.locator(".facts")).to_contain_text("Trigger")
    expect(page.locator(".view-head .state")).to_contain_text("Succeeded")
    with Client(timed.url, timed.token) as client:
        client.triggers.delete("daily etl")
