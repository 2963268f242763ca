"""What the async client can do with workflows; see `workflows` for what everything does."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, TypeVar

from trainmaster.client import calls
from trainmaster.client import workflow_types as types
from trainmaster.client.calls import Call
from trainmaster.client.errors import WaitTimeout
from trainmaster.client.workflows import Definition, as_fields

T = TypeVar("T")


class AsyncWorkflowMethods(ABC):
    """Part of `AsyncClient`."""

    @abstractmethod
    async def _send(self, call: Call[T]) -> T:
        """Make the call."""

    async def define_workflow(self, definition: Definition) -> types.Workflow:
        return await self._send(calls.define_workflow(as_fields(definition)))

    async def workflows(self) -> list[types.Workflow]:
        return await self._send(calls.workflows())

    async def workflow(self, name: str, version: int | None = None) -> types.Workflow:
        return await self._send(calls.workflow(name, version))

    async def workflow_versions(self, name: str) -> list[types.Workflow]:
        return await self._send(calls.workflow_versions(name))

    async def run_workflow(
        self,
        workflow: str | Definition,
        parameters: Mapping[str, Any] | None = None,
        *,
        version: int | None = None,
        idempotency_key: str | None = None,
    ) -> types.WorkflowRun:
        if not isinstance(workflow, str):
            kept = await self.define_workflow(workflow)
            workflow, version = kept.name, kept.version
        return await self._send(calls.run_workflow(workflow, parameters or {}, version, idempotency_key))

    async def workflow_run(self, run: str) -> types.WorkflowRun:
        return await self._send(calls.workflow_run(run))

    async def workflow_runs(
        self, workflow: str | None = None, *, states: Iterable[str] = (), limit: int | None = None
    ) -> AsyncIterator[types.WorkflowRun]:
        before, left = None, limit
        states = list(states)
        while left is None or left > 0:
            size = 50 if left is None else min(50, left)
            page = await self._send(calls.workflow_runs(workflow, states, size, before))
            for run in page.runs:
                yield run
            before = page.next
            if before is None:
                return
            left = None if left is None else left - len(page.runs)

    async def cancel_workflow_run(self, run: str) -> types.WorkflowRun:
        return await self._send(calls.cancel_workflow_run(run))

    async def resume_workflow_run(self, run: str) -> types.WorkflowRun:
        return await self._send(calls.resume_workflow_run(run))

    async def workflow_stages(self, run: str) -> AsyncIterator[types.Stage]:
        after: int | None = 0
        while after is not None:
            page = await self._send(calls.workflow_stages(run, after, 500))
            for stage in page.stages:
                yield stage
            after = page.next

    async def workflow_stage(
        self, run: str, stage: str, *, after: int = 0, limit: int = 200
    ) -> types.StageDetail:
        return await self._send(calls.workflow_stage(run, stage, after, limit))

    async def workflow_plan(self, run: str) -> types.PlanReport:
        return await self._send(calls.workflow_plan(run))

    async def wait_workflow_run(self, run: str, timeout: float | None = None) -> types.WorkflowRun:
        until = None if timeout is None else time.monotonic() + timeout
        pause = 0.02
        while True:
            found = await self.workflow_run(run)
            if found.ended:
                return found
            if until is not None and time.monotonic() + pause > until:
                raise WaitTimeout(f"{found.id} is still {found.state} after {timeout:g} s", run=found.id)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 1.0)
