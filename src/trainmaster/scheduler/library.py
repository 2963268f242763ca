"""The definitions of the workflows that triggers start, with all they contain: a firing asks nobody."""

from __future__ import annotations

from collections.abc import Iterable

from trainmaster.domain.errors import InvalidWorkflow, TrainmasterError, UnknownWorkflow
from trainmaster.domain.target import WorkflowTarget
from trainmaster.domain.workflow import Definition, Graph

Pins = tuple[tuple[str, int], ...]


class Library:
    """Part of the scheduler's state. Memory: a graph for each version that is needed (`keep`)."""

    def __init__(self, definitions: Iterable[Definition] = ()) -> None:
        self._graphs: dict[tuple[str, int], Graph] = {}
        self._latest: dict[str, int] = {}
        self.put(definitions)

    def put(self, definitions: Iterable[Definition]) -> None:
        for one in definitions:
            name = one.graph.spec.name
            self._graphs[name, one.version] = one.graph
            if one.latest:
                self._latest[name] = max(one.version, self._latest.get(name, 0))

    def __contains__(self, name: object) -> bool:
        return any(known == name for known, _ in self._graphs)

    def find(self, name: str, version: int | None = None) -> tuple[int, Graph]:
        """A version, or the latest. Raises UnknownWorkflow."""
        number = self._latest.get(name) if version is None else version
        graph = None if number is None else self._graphs.get((name, number))
        if number is None or graph is None:
            of = "" if version is None else f" in version {version}"
            raise UnknownWorkflow(f"there is no workflow {name}{of}", workflow=name)
        return number, graph

    def pins(self, name: str, version: int | None = None) -> Pins:
        """The version of every workflow a run may come to, as they are now, its own first. One version of
        each. Raises UnknownWorkflow, InvalidWorkflow."""
        number, graph = self.find(name, version)
        pins = {name: number}
        open_ = [graph.spec]
        while open_:
            for stage in open_.pop().stages:
                if not stage.workflow:
                    continue
                if stage.workflow in pins:
                    if stage.version not in (None, pins[stage.workflow]):
                        both = f"{pins[stage.workflow]} and {stage.version}"
                        raise InvalidWorkflow(
                            f"{stage.workflow} is needed in versions {both}",
                            remedy="name one version, or none",
                            field=f"stages.{stage.name}.version",
                        )
                    continue
                pins[stage.workflow], inner = self.find(stage.workflow, stage.version)
                open_.append(inner.spec)
        return tuple(pins.items())

    def graphs(self, pins: Pins) -> dict[str, Graph]:
        """By name. Raises UnknownWorkflow."""
        return {name: self.find(name, version)[1] for name, version in pins}

    def keep(self, targets: Iterable[WorkflowTarget]) -> None:
        """Forget what none of these needs; nothing while one of them needs what cannot be."""
        needed: set[tuple[str, int]] = set()
        try:
            for target in set(targets):
                needed.update(self.pins(target.workflow, target.version))
        except TrainmasterError:
            return
        for key in set(self._graphs) - needed:
            del self._graphs[key]
        names = {name for name, _ in needed}
        self._latest = {name: number for name, number in self._latest.items() if name in names}
