"""Somebody who looks at the page."""

from __future__ import annotations

from playwright.sync_api import ConsoleMessage, Page, expect

from tests.live import Live


class Visitor:
    """A page in a context of its own, and everything the browser complained about.

    A refusal that a test means to provoke is announced by its status: `expected.add(401)`.
    """

    def __init__(self, service: Live, page: Page) -> None:
        self.service = service
        self.page = page
        self.complaints: list[str] = []
        self.expected: set[int] = set()
        page.set_default_timeout(15_000)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        # The browser writes each answer of 400 and above to the console; violations of the policy too.
        if any(f"status of {status}" in message.text for status in self.expected):
            return
        self.complaints.append(f"{message.type}: {message.text}")

    def go(self, path: str) -> None:
        self.page.goto(self.service.url + path)

    def log_in(self) -> None:
        self.go(f"/?t={self.service.token}")
        expect(self.page.locator("#live")).to_have_attribute("data-state", "live")

    def too_wide(self) -> int:
        """Pixels by which the page is wider than the window."""
        wide: int = self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        return wide
