"""Fixtures for all tests, and the rule for real components a machine may lack."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
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

_missing: set[str] = set()

# The gate tries the same examples every time; everybody else's runs look for new ones.
hypothesis.settings.register_profile("gate", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("gate")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs a component this machine lacks; with TRAINMASTER_TEST_ALL set, fail instead."""
    for mark in item.iter_markers("needs"):
        for component in mark.args:
            probe = PROBES.get(component)
            if probe is None:
                pytest.fail(f"no probe for the component {component!r} in tests/conftest.py")
            if probe():
                _missing.add(component)
                if os.environ.get("TRAINMASTER_TEST_ALL"):
                    pytest.fail(f"{component} is not installed, and TRAINMASTER_TEST_ALL forbids skips")
                pytest.skip(f"needs {component}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _missing:
        terminalreporter.section("missing components")
        terminalreporter.line("their tests were skipped: " + ", ".join(sorted(_missing)))


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
