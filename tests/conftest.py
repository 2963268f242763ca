"""Fixtures for all tests, and the rule for real components a machine may lack."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.docker_engine import DockerEngine, docker_engine
from tests.e2e.chromium import chromium
from tests.live import Live, live
from tests.servers import COMPONENTS, Mariadb, Postgresql, Server, cannot_mount

# What else `pytest.mark.needs` may name, and how to see that it is missing. Extended as adapters come.
PROBES: dict[str, Callable[[], bool]] = {
    **{name: server.missing for name, server in COMPONENTS.items()},
    "docker": DockerEngine.missing,
    "chromium": lambda: chromium() is None,
    "mount": cannot_mount,
    "root": lambda: os.geteuid() != 0,
}

__all__ = ["docker_engine"]  # a fixture of its own file

FORBIDDEN = "TRAINMASTER_TEST_ALL"
"""With this variable set nothing may be skipped, but for data that lie beside the repository, not in it."""

# The gate tries the same examples every time; everybody else's runs look for new ones.
hypothesis.settings.register_profile("gate", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("gate")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a component this machine lacks."""
    for mark in item.iter_markers("needs"):
        for component in mark.args:
            probe = PROBES.get(component)
            if probe is None:
                pytest.fail(f"no probe for the component {component!r} in tests/conftest.py")
            if probe():
                pytest.skip(f"{component} is not installed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where skips are forbidden, a skipped test has failed."""
    report = yield
    if report.skipped and os.environ.get(FORBIDDEN) and "TRAINMASTER_TEST_DATA" not in _reason(report):
        report.outcome = "failed"
        report.longrepr = f"{_reason(report)}, and {FORBIDDEN} forbids skips"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", ()))
    if skipped:
        terminalreporter.section("what was missing, and the tests skipped for it")
        for reason, count in sorted(skipped.items()):
            terminalreporter.line(f"{count:>5}  {reason}")


def _reason(report: pytest.TestReport) -> str:
    """Why a test was skipped."""
    return report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else ""


def _serve(kind: type[Server]) -> Iterator[Server]:
    server = kind()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    """A running PostgreSQL; only for tests marked `needs("postgresql")`."""
    yield from _serve(Postgresql)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[Server]:
    """A running MariaDB; only for tests marked `needs("mariadb")`."""
    yield from _serve(Mariadb)


@pytest.fixture
def live_service(tmp_path: Path) -> Iterator[Live]:
    """A real service with four logical nodes."""
    yield from live(tmp_path / "data", nodes=4)


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One real service for all tests of a module, which must not mind each other's tasks."""
    yield from live(tmp_path_factory.mktemp("shared") / "data", nodes=4, cores=4)
