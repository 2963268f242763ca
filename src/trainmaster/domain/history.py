"""The append-only history: what happened, when, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from trainmaster.domain.ids import NodeId, TaskId
from trainmaster.domain.replacing import quick


class RecordKind(StrEnum):
    TASK_SUBMITTED = "task-submitted"
    TASK_BLOCKED = "task-blocked"
    TASK_RELEASED = "task-released"
    TASK_ACCEPTED = "task-accepted"
    TASK_PREPARING = "task-preparing"
    TASK_STARTED = "task-started"
    RESIZE_REQUESTED = "resize-requested"
    TASK_RESIZING = "task-resizing"
    TASK_RESIZED = "task-resized"
    TASK_REGROUPED = "task-regrouped"  # a new generation of its group
    TASK_CONVERGED = "task-converged"
    WORKER_LOST = "worker-lost"  # and the others go on without it
    TASK_STOPPING = "task-stopping"
    TASK_INTERRUPTED = "task-interrupted"
    TASK_RETRIED = "task-retried"
    TASK_LOST = "task-lost"
    TASK_SUCCEEDED = "task-succeeded"
    TASK_FAILED = "task-failed"
    TASK_CANCELLED = "task-cancelled"
    WORKFLOW_STARTED = "workflow-started"
    WORKFLOW_RESUMED = "workflow-resumed"
    WORKFLOW_STOPPING = "workflow-stopping"
    WORKFLOW_SUCCEEDED = "workflow-succeeded"
    WORKFLOW_FAILED = "workflow-failed"
    WORKFLOW_CANCELLED = "workflow-cancelled"
    PRIORITY_CHANGED = "priority-changed"
    NODE_JOINED = "node-joined"
    NODE_SUSPECT = "node-suspect"
    NODE_RETURNED = "node-returned"
    NODE_GONE = "node-gone"
    NODE_DRAINING = "node-draining"
    NODE_WOKEN = "node-woken"
    CLUSTER_SIZED = "cluster-sized"
    SIZING_CHANGED = "sizing-changed"
    PROFILE_SWITCHED = "profile-switched"
    QUOTA_CHANGED = "quota-changed"
    TRIGGER_CREATED = "trigger-created"
    TRIGGER_CHANGED = "trigger-changed"
    TRIGGER_PAUSED = "trigger-paused"
    TRIGGER_RESUMED = "trigger-resumed"
    TRIGGER_DELETED = "trigger-deleted"
    FIRING_SKIPPED = "firing-skipped"
    FIRING_MISSED = "firing-missed"  # the first of several in a row
    REPORT_REFUSED = "report-refused"


@quick
@dataclass(frozen=True, slots=True)
class Record:
    """One line of history. `detail` is JSON-ready; `reason` is for people."""

    time: float
    kind: RecordKind
    task: TaskId | None = None
    attempt: int | None = None
    node: NodeId | None = None
    reason: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
