"""A real browser, whose every complaint fails the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.e2e.chromium import FLAGS, chromium
from tests.e2e.visitor import Visitor
from tests.live import Live

# A busy machine is slow to start things; what never comes is noticed all the same.
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Visitor]]:
    """Make visitors of a service; at the end none may have seen an error or a refused resource."""
    visitors: list[Visitor] = []

    def make(
        service: Live, *, width: int = 1280, height: int = 800, scheme: str = "light", login: bool = True
    ) -> Visitor:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
        visitor = Visitor(service, context.new_page())
        visitors.append(visitor)
        if login:
            visitor.log_in()
        return visitor

    yield make
    complaints = [complaint for visitor in visitors for complaint in visitor.complaints]
    for visitor in visitors:
        visitor.page.context.close()
    assert not complaints


@pytest.fixture
def page(visit: Callable[..., Visitor], live_service: Live) -> Page:
    """Logged in at a service of its own."""
    return visit(live_service).page
