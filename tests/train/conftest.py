"""Workers for the tests of the native group: real processes and gloo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.train.coordinator import Coordinator, Nursery


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture
def coordinate(nursery: Nursery, tmp_path: Path) -> Iterator[Callable[..., Coordinator]]:
    """Makes coordinators: `coordinate(script, NAME=value, …)`."""
    made: list[Coordinator] = []

    def make(script: str, **env: str) -> Coordinator:
        made.append(Coordinator(nursery, tmp_path / str(len(made)), script, **env))
        return made[-1]

    yield make
    for coordinator in made:
        coordinator.close()
