"""What the plain client can do with workflows."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from trainmaster.client import calls
from trainmaster.client import workflow_types as types
from trainmaster.client.calls import Call
from trainmaster.client.definition import Workflow
from trainmaster.client.errors import WaitTimeout

T = TypeVar("T")

Definition = Workflow | Mapping[str, Any]


class WorkflowMethods(ABC):
    """Part of `Client`."""

    @abstractmethod
    def _send(self, call: Call[T]) -> T:
        """Make the call."""

    def define_workflow(self, definition: Definition) -> types.Workflow:
        """Keep a definition as the next version; one that says the same as the latest is no new version."""
        return self._send(calls.define_workflow(as_fields(definition)))

    def workflows(self) -> list[types.Workflow]:
        """The latest version of every workflow, without the stages."""
        return self._send(calls.workflows())

    def workflow(self, name: str, version: int | None = None) -> types.Workflow:
        return self._send(calls.workflow(name, version))

    def workflow_versions(self, name: str) -> list[types.Workflow]:
        """Newest first, without the stages."""
        return self._send(calls.workflow_versions(name))

    def run_workflow(
        self,
        workflow: str | Definition,
        parameters: Mapping[str, Any] | None = None,
        *,
        version: int | None = None,
        idempotency_key: str | None = None,
    ) -> types.WorkflowRun:
        """Run a workflow by its name, or a definition, which is kept first. Durable once this returns."""
        if not isinstance(workflow, str):
            kept = self.define_workflow(workflow)
            workflow, version = kept.name, kept.version
        return self._send(calls.run_workflow(workflow, parameters or {}, version, idempotency_key))

    def workflow_run(self, run: str) -> types.WorkflowRun:
        """One run, by its id or an unambiguous beginning of it."""
        return self._send(calls.workflow_run(run))

    def workflow_runs(
        self, workflow: str | None = None, *, states: Iterable[str] = (), limit: int | None = None
    ) -> Iterator[types.WorkflowRun]:
        """Newest first, page by page as they are taken; runs inside others are left out."""
        before, left = None, limit
        states = list(states)
        while left is None or left > 0:
            size = 50 if left is None else min(50, left)
            page = self._send(calls.workflow_runs(workflow, states, size, before))
            yield from page.runs
            before = page.next
            if before is None:
                return
            left = None if left is None else left - len(page.runs)

    def cancel_workflow_run(self, run: str) -> types.WorkflowRun:
        """End all its tasks; it is CANCELLED once they are verifiably gone."""
        return self._send(calls.cancel_workflow_run(run))

    def resume_workflow_run(self, run: str) -> types.WorkflowRun:
        """Do again what has not succeeded, and all that follows it."""
        return self._send(calls.resume_workflow_run(run))

    def workflow_stages(self, run: str) -> Iterator[types.Stage]:
        """All stages of a run, in the order of the definition, page by page as they are taken."""
        after: int | None = 0
        while after is not None:
            page = self._send(calls.workflow_stages(run, after, 500))
            yield from page.stages
            after = page.next

    def workflow_stage(self, run: str, stage: str, *, after: int = 0, limit: int = 200) -> types.StageDetail:
        """One stage of a run, with its tasks and what they returned."""
        return self._send(calls.workflow_stage(run, stage, after, limit))

    def workflow_plan(self, run: str) -> types.PlanReport:
        """The static plan of a run against what became of it."""
        return self._send(calls.workflow_plan(run))

    def wait_workflow_run(self, run: str, timeout: float | None = None) -> types.WorkflowRun:
        """The run once it has ended. Raises WaitTimeout."""
        until = None if timeout is None else time.monotonic() + timeout
        pause = 0.02
        while True:
            found = self.workflow_run(run)
            if found.ended:
                return found
            if until is not None and time.monotonic() + pause > until:
                raise WaitTimeout(f"{found.id} is still {found.state} after {timeout:g} s", run=found.id)
            time.sleep(pause)
            pause = min(pause * 1.5, 1.0)


def as_fields(definition: Definition) -> Mapping[str, Any]:
    return definition.to_dict() if isinstance(definition, Workflow) else definition
