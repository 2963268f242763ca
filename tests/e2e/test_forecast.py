"""The forecast page over a history in the database: read it, apply it, take it back."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e.visitor import Visitor
from tests.integration.test_sizing import HOUR, seed
from tests.live import Live
from trainmaster.store import SqlStore

pytestmark = pytest.mark.needs("chromium")


async def _history(data: Path) -> None:
    store = SqlStore(f"sqlite:///{data}/trainmaster.db")
    await store.open()
    await seed(store, 120, begin=(time.time() // HOUR - 120) * HOUR, ripple=5)
    await store.close()


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    data = tmp_path_factory.mktemp("forecast") / "data"
    data.mkdir()
    with ThreadPoolExecutor(1) as pool:  # this thread has the driver's loop
        pool.submit(asyncio.run, _history(data)).result()
    knobs = {"policy": "static", "nodes": 2, "hold": 1}
    service = Live(data, leave_running=False, nodes=4, forecast=knobs)
    service.start()
    try:
        yield service
    finally:
        service.stop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_forecast_page(visit: Callable[..., Visitor], seeded: Live, width: int, scheme: str) -> None:
    visitor = visit(seeded, width=width, height=900, scheme=scheme)
    page = visitor.page
    page.get_by_role("link", name="Forecast").click()
    expect(page.locator(".forecast-headline")).to_have_text("2 nodes recommended, 4 on")
    expect(page.locator(".forecast canvas")).to_have_count(2)
    expect(page.locator(".facts")).to_contain_text("repeating the last value")
    expect(page.locator(".facts")).not_to_contain_text("nan")
    assert visitor.too_wide() <= 0
    if folder := os.environ.get("TRAINMASTER_SHOTS"):
        page.wait_for_timeout(300)
        page.screenshot(path=f"{folder}/forecast-{width}-{scheme}.png")
        page.locator(".forecast .facts").scroll_into_view_if_needed()
        page.screenshot(path=f"{folder}/forecast-{width}-{scheme}-end.png")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".forecast-headline")).to_have_text("2 nodes recommended, 2 on, 2 asleep")
    expect(page.get_by_text("applied", exact=True)).to_be_visible()
    page.get_by_role("button", name="Only advise").click()
    expect(page.locator(".forecast-headline")).to_have_text("2 nodes recommended, 4 on")
