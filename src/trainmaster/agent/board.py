"""The latest report of every run of a node, with versions, so that a poll can ask for what is new."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from trainmaster.domain.ids import RunId
from trainmaster.domain.run import RunReport


class Board:
    """Runners put reports in; the agent's poll takes out those after a version and waits for more.

    `incarnation` names this life of the agent: versions mean nothing in another. `through` is handed every
    report first and returns what is to be told.
    """

    def __init__(self, incarnation: str, through: Callable[[RunReport], RunReport] | None = None) -> None:
        self.incarnation = incarnation
        self._through = through
        self.version = 0
        self.news = asyncio.Event()
        self.listener: Callable[[RunReport], None] | None = None
        self._reports: dict[RunId, RunReport] = {}
        self._unseen: dict[RunId, int] = {}  # version of the change, oldest first

    def report(self, report: RunReport) -> None:
        """Take the latest report of a run, and wake the poll if it says something new."""
        if self._through is not None:
            report = self._through(report)
        if self._reports.get(report.id) == report:
            return
        self._reports[report.id] = report
        self.version += 1
        self._unseen.pop(report.id, None)
        self._unseen[report.id] = self.version
        if self.listener is not None:
            self.listener(report)
        self.news.set()

    def note(self, report: RunReport) -> None:
        """Hold a report for a caller that asks for everything, without waking anybody for it."""
        self._reports.setdefault(report.id, report)

    def next_version(self) -> int:
        """A version of its own for an answer, so that its confirmation is unmistakable."""
        self.version += 1
        return self.version

    def get(self, run: RunId) -> RunReport | None:
        return self._reports.get(run)

    def all(self) -> Iterable[RunReport]:
        return self._reports.values()

    def drop(self, run: RunId) -> None:
        """The run is forgotten."""
        self._reports.pop(run, None)
        self._unseen.pop(run, None)

    def seen(self, version: int) -> None:
        """The caller has stored everything up to `version`."""
        while self._unseen:
            run = next(iter(self._unseen))
            if self._unseen[run] > version:
                return
            del self._unseen[run]

    def unseen(self) -> tuple[RunReport, ...]:
        """Reports the caller has not confirmed, oldest change first."""
        return tuple(self._reports[run] for run in self._unseen)
