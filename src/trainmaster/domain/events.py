"""Facts that enter the scheduler. Past participles: they have happened, at the edge that reports them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trainmaster.domain.cluster import Gauges, Node, Quota
from trainmaster.domain.firing import Trigger
from trainmaster.domain.ids import NodeId, RunId, TaskId, TriggerId, UserName, WorkflowRunId
from trainmaster.domain.learned import Phase
from trainmaster.domain.run import RunReport
from trainmaster.domain.sizing import SizingKnobs
from trainmaster.domain.task import TaskSpec, Urgency
from trainmaster.domain.workflow import Definition, Graph
from trainmaster.domain.workflow_run import PartEnd, PlannedPart, WorkflowRun


@dataclass(frozen=True, slots=True)
class TaskSubmitted:
    id: TaskId
    spec: TaskSpec


@dataclass(frozen=True, slots=True)
class TriggerCreated:
    """`definitions`: of the workflow it starts, with all that contains."""

    trigger: Trigger
    definitions: tuple[Definition, ...] = ()


@dataclass(frozen=True, slots=True)
class TriggerChanged:
    """`trigger` has the new definition; what the scheduler knows of its firings stays."""

    trigger: Trigger
    by: UserName
    definitions: tuple[Definition, ...] = ()


@dataclass(frozen=True, slots=True)
class TriggerPaused:
    """`paused` False: it goes on, and what came due meanwhile is late."""

    trigger: TriggerId
    paused: bool
    by: UserName


@dataclass(frozen=True, slots=True)
class TriggerDeleted:
    trigger: TriggerId
    by: UserName


@dataclass(frozen=True, slots=True)
class FiringRequested:
    """Fire now. `due_ms` is the key of this firing, and no due time of the rule."""

    trigger: TriggerId
    due_ms: int
    by: UserName


@dataclass(frozen=True, slots=True)
class BackfillRequested:
    """Make up for due times of the past that have not fired (the sender has looked), in this order."""

    trigger: TriggerId
    dues: tuple[int, ...]
    by: UserName


@dataclass(frozen=True, slots=True)
class CancelRequested:
    task: TaskId
    by: UserName


@dataclass(frozen=True, slots=True)
class PriorityRequested:
    """`bumps` adds to N of RLPTO's equation 4; `value` and `urgency` set outright."""

    task: TaskId
    by: UserName
    bumps: int = 0
    value: float | None = None
    urgency: Urgency | None = None


@dataclass(frozen=True, slots=True)
class ProfileSwitched:
    name: str
    by: UserName


@dataclass(frozen=True, slots=True)
class QuotaChanged:
    quota: Quota
    by: UserName


@dataclass(frozen=True, slots=True)
class NodeJoined:
    """An agent is reachable and told everything it holds: the moment to reconcile both sides."""

    node: Node
    runs: tuple[RunReport, ...] = ()


@dataclass(frozen=True, slots=True)
class NodeMeasured:
    node: NodeId
    gauges: Gauges
    index: float | None = None


@dataclass(frozen=True, slots=True)
class NodeFellSilent:
    node: NodeId


@dataclass(frozen=True, slots=True)
class NodeReturned:
    """A silent node answers again and lost nothing."""

    node: NodeId


@dataclass(frozen=True, slots=True)
class NodeVanished:
    """Confirmed gone, by the engine or because lease plus grace are over: its runs cannot be alive."""

    node: NodeId


@dataclass(frozen=True, slots=True)
class DrainRequested:
    node: NodeId
    drain: bool
    by: UserName


@dataclass(frozen=True, slots=True)
class SizingChanged:
    """An operator set how the cluster is sized. Without `apply` the nodes that sizing drained wake up."""

    knobs: SizingKnobs
    by: UserName


@dataclass(frozen=True, slots=True)
class ClusterSized:
    """A sizing decision: how many nodes to wake or to drain, by the numbers in `reason`.

    `keep`: settings to store with it, so that a restart goes on from here. `repeated`: advice given before,
    which needs no further line of history.
    """

    wanted: int
    wake: int
    drain: int
    reason: str
    detail: dict[str, Any] = field(default_factory=dict)
    keep: dict[str, str] = field(default_factory=dict)
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class NodesNeeded:
    """Waiting tasks need these nodes, which sizing drained."""

    nodes: tuple[NodeId, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class WorkflowOpened:
    """A workflow run begins (`fresh`), is `resumed`, or neither: it was live before a restart.

    `library`: the graphs of all workflows it may contain, by name. `recorded`: what is stored of its parts.
    """

    run: WorkflowRun
    library: Mapping[str, Graph]
    recorded: tuple[PartEnd, ...] = ()
    fresh: bool = False
    resumed: bool = False
    by: UserName | None = None


@dataclass(frozen=True, slots=True)
class WorkflowPlanned:
    """The answer to `MakePlan`. Without `plan` the run begins without one, and `reason` says why."""

    run: WorkflowRunId
    reason: str
    plan: Mapping[str, PlannedPart] = field(default_factory=dict)
    forecast_s: float | None = None


@dataclass(frozen=True, slots=True)
class WorkflowRegistered:
    """A workflow that triggers start, or that one of those contains, has another version."""

    definitions: tuple[Definition, ...]


@dataclass(frozen=True, slots=True)
class WorkflowCancelRequested:
    run: WorkflowRunId
    by: UserName


@dataclass(frozen=True, slots=True)
class RunReported:
    node: NodeId
    report: RunReport


@dataclass(frozen=True, slots=True)
class ProgressReported:
    """What training code said: `step` counts up, `metrics` are the latest values."""

    run: RunId
    time: float
    step: float
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResizeRequested:
    """`workers` pins the count; None gives it back to the allotment policy."""

    task: TaskId
    workers: int | None
    by: UserName


@dataclass(frozen=True, slots=True)
class WorkerReady:
    """A worker can be taken into its group; `store` is where others could meet it."""

    run: RunId
    store: str


@dataclass(frozen=True, slots=True)
class WorkerJoined:
    """A worker trains in a generation, from the global step `step` on."""

    run: RunId
    generation: int
    step: float = 0.0


@dataclass(frozen=True, slots=True)
class GroupBroken:
    """A worker saw a step or a join fail and waits for the next plan. `suspects` were silent."""

    run: RunId
    generation: int
    suspects: tuple[int, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class TrainingConverged:
    """What the leader says of its progress."""

    run: RunId
    phase: Phase


Event = (
    TaskSubmitted
    | TriggerCreated
    | TriggerChanged
    | TriggerPaused
    | TriggerDeleted
    | FiringRequested
    | BackfillRequested
    | CancelRequested
    | PriorityRequested
    | ProfileSwitched
    | QuotaChanged
    | NodeJoined
    | NodeMeasured
    | NodeFellSilent
    | NodeReturned
    | NodeVanished
    | DrainRequested
    | SizingChanged
    | ClusterSized
    | NodesNeeded
    | WorkflowOpened
    | WorkflowPlanned
    | WorkflowRegistered
    | WorkflowCancelRequested
    | RunReported
    | ProgressReported
    | ResizeRequested
    | WorkerReady
    | WorkerJoined
    | GroupBroken
    | TrainingConverged
)
