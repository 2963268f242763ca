"""What the scheduler wants done. Imperatives; the edge carries them out after they are recorded."""

from __future__ import annotations

from dataclasses import dataclass

from trainmaster.domain.group import GroupPlan
from trainmaster.domain.ids import NodeId, RunId, WorkflowRunId
from trainmaster.domain.replacing import quick
from trainmaster.domain.run import RunSpec


@quick
@dataclass(frozen=True, slots=True)
class Launch:
    """Start a worker. Idempotent by run id."""

    node: NodeId
    run: RunSpec


@quick
@dataclass(frozen=True, slots=True)
class Stop:
    """TERM to everything of the run, KILL after `grace_s`, and report once it is verifiably gone."""

    node: NodeId
    run: RunId
    grace_s: float


@quick
@dataclass(frozen=True, slots=True)
class Forget:
    """The outcome is recorded: the node may delete what it keeps of the run, once its log is fetched."""

    node: NodeId
    run: RunId


@quick
@dataclass(frozen=True, slots=True)
class Regroup:
    """Tell a worker the latest membership of its group. Telling it again changes nothing."""

    node: NodeId
    run: RunId
    plan: GroupPlan


@dataclass(frozen=True, slots=True)
class MakePlan:
    """Find a static plan for a workflow run that waits for it, and answer with `WorkflowPlanned`. Not for a
    node: the service does it. Issued again after a restart."""

    run: WorkflowRunId


ForNode = Launch | Stop | Forget | Regroup
Command = ForNode | MakePlan
