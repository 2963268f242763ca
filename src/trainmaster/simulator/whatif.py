"""What if another profile had been in use? The history of the service, simulated under several profiles.

Three columns: what happened, the replay under the profile in use, and under the other one. Only the two
replays are comparable in earnest; the first shows how well the replay tells what happened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from trainmaster.domain.cluster import Gauges, Node, NodeState, Quota
from trainmaster.domain.events import Event, QuotaChanged
from trainmaster.domain.ids import NodeId, TaskId
from trainmaster.domain.run import Run
from trainmaster.domain.task import LOCAL_USER, Task
from trainmaster.policies.learned import TaskNetwork
from trainmaster.policies.registry import Profile, build
from trainmaster.ports import Metric, Past
from trainmaster.scheduler.state import Limits
from trainmaster.simulator.errors import BadSetting, EmptyHistory, Stalled
from trainmaster.simulator.loop import Arrival, Scenario, Simulation
from trainmaster.simulator.report import Quantiles, Report
from trainmaster.simulator.workload.history import Workload, history, start_seconds
from trainmaster.simulator.world import Costs, Lived

_SHOWN = 200  # tasks in the answer
_REPORTS_S = 60.0  # between two reports of a simulated training
_LOOKS = 5_000  # at worker counts, besides those after events, over the whole replay


@dataclass(frozen=True, slots=True)
class Question:
    """`pasts` from [since, until), epoch seconds; `reports` of elastic tasks. `present` is the profile in
    use, `other` the one to try on `nodes`, which is how many there would be (None: as many as now)."""

    since: float
    until: float
    present: Profile
    other: Profile
    pasts: Sequence[Past]
    reports: Mapping[TaskId, Sequence[Metric]]
    cluster: Sequence[Node]
    quotas: Sequence[Quota] = ()
    nodes: int | None = None
    networks: Mapping[str, TaskNetwork] = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Column:
    """One way it went. Seconds; quantiles over the tasks that ended in every column, so that the same are
    compared. `unended`: tasks this way never brought to an end (unplaceable, or starved). Makespan: from the
    first arrival to the last end."""

    name: str
    profile: str
    nodes: int
    ended: int
    unended: int
    wait_s: Mapping[str, float]
    jct_s: Mapping[str, float]
    makespan_s: float
    worker_hours: float
    busy_node_hours: float
    restarts: int
    resizes: int


@dataclass(frozen=True, slots=True)
class Row:
    """One task: by column the seconds it waited for its first start and from submission to its end; None if
    it had neither."""

    task: TaskId
    name: str
    user: str
    wait_s: tuple[float | None, ...]
    jct_s: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """`rows`: those that the two replays treat most differently, at most 200. `left_out`: tasks of the window
    that could not be replayed, by reason."""

    since: float
    until: float
    tasks: int
    left_out: Mapping[str, int]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


@dataclass(slots=True)
class _Way:
    """How it went: by number of the arrival."""

    name: str
    profile: str
    nodes: int
    wait: dict[int, float] = field(default_factory=dict)
    jct: dict[int, float] = field(default_factory=dict)
    last_end: float = 0.0
    worker_s: float = 0.0
    busy_s: float = 0.0
    restarts: int = 0
    resizes: int = 0


def ask(question: Question) -> Answer:
    """Raises EmptyHistory, BadSetting."""
    workload = _workload(question)
    if not workload.arrivals:
        raise EmptyHistory(question.until - question.since, workload.left_out.total())
    cluster = [_fresh(node) for node in question.cluster if node.state is not NodeState.GONE]
    if not cluster:
        raise BadSetting("nodes", 0, "at least one node, to run on or to copy")
    changed = sized(cluster, question.nodes if question.nodes is not None else len(cluster))
    ways = [
        _as_it_was(question, workload, len(cluster)),
        _replayed("replayed", question, cluster, question.present),
        _replayed("what if", question, changed, question.other),
    ]
    numbers = range(len(workload.arrivals))
    common = [number for number in numbers if all(number in way.jct for way in ways)]
    return Answer(
        question.since,
        question.until,
        len(workload.arrivals),
        dict(sorted(workload.left_out.items())),
        tuple(_column(way, common, workload.arrivals) for way in ways),
        tuple(_rows(ways, workload.tasks)),
    )


def _workload(question: Question) -> Workload:
    return history(question.pasts, question.reports, question.since, question.until)


def sized(cluster: Sequence[Node], count: int) -> list[Node]:
    """The first `count` nodes; where there are fewer, copies of them in turn."""
    found = list(cluster[:count])
    for number in range(len(found), count):
        model = cluster[number % len(cluster)]
        found.append(replace(model, id=NodeId(f"{model.id}+{number // len(cluster)}")))
    return found


def _fresh(node: Node) -> Node:
    """As if it had just joined."""
    return replace(node, state=NodeState.UP, gauges=Gauges(), joined_at=0.0, seen_at=0.0)


def _replayed(name: str, question: Question, cluster: Sequence[Node], profile: Profile) -> _Way:
    way = _Way(name, profile.name, len(cluster))

    def note(task: Task, life: Lived | None) -> None:
        number = int(task.id[2:]) - 1
        way.wait[number] = task.waited_s(task.ended_at or 0.0)
        way.jct[number] = (task.ended_at or 0.0) - task.submitted_at
        way.resizes += max(life.regroups - 1, 0) if life is not None else 0

    workload = _workload(question)  # anew, as trainings are used up
    report = Report(on_end=note)
    span = question.until - question.since
    # Looking at the counts every 10 s of a week would take longer than the tasks' own events.
    limits = Limits(allotment_period_s=max(Limits().allotment_period_s, span / _LOOKS))
    start = start_seconds(question.pasts)
    costs = Costs(start_s=start, restart_s=start, regroup_s=Limits().group_pause_s, report_s=_REPORTS_S)
    quotas: list[tuple[float, Event]] = [(0.0, QuotaChanged(quota, LOCAL_USER)) for quota in question.quotas]
    scenario = Scenario(
        cluster,
        build(profile, question.networks),
        workload.arrivals,
        costs,
        quotas,
        seed=question.seed,
        limits=limits,
    )
    simulation = Simulation(scenario, report)
    try:
        simulation.run()
    except Stalled:
        pass  # the column says how many never ended
    way.last_end, way.worker_s, way.busy_s = report.last_end, report.worker_s, report.busy_node_s
    way.restarts = report.restarts
    return way


def _as_it_was(question: Question, workload: Workload, nodes: int) -> _Way:
    way = _Way("as it was", question.present.name, nodes)
    runs: list[Run] = []
    by_task = {past.task.id: past for past in question.pasts}
    for number, task in enumerate(workload.tasks):
        submitted = max(task.submitted_at, question.since)
        if task.first_started_at is not None:
            way.wait[number] = max(task.first_started_at - submitted, 0.0)
        if task.ended_at is not None and task.first_started_at is not None:
            way.jct[number] = max(task.ended_at - submitted, 0.0)
            way.last_end = max(way.last_end, task.ended_at - question.since)
        past = by_task[task.id]
        runs += [run for run in past.runs if run.started_at is not None]
        way.restarts += max(task.attempt - 1, 0)
        way.resizes += max(past.generations - 1, 0)
    stays: dict[NodeId, list[tuple[float, float]]] = {}
    for run in runs:
        low = max(run.started_at or 0.0, question.since)
        high = min(run.ended_at if run.ended_at is not None else question.until, question.until)
        if high > low:
            way.worker_s += high - low
            stays.setdefault(run.node, []).append((low, high))
    way.busy_s = sum(_covered(spans) for spans in stays.values())
    return way


def _covered(spans: list[tuple[float, float]]) -> float:
    """Seconds in the union."""
    total, reached = 0.0, 0.0
    for low, high in sorted(spans):
        total += max(high - max(low, reached), 0.0)
        reached = max(reached, high)
    return total


def _column(way: _Way, common: Sequence[int], arrivals: Sequence[Arrival]) -> Column:
    wait, jct = Quantiles(), Quantiles()
    for number in common:
        wait.add(way.wait[number])
        jct.add(way.jct[number])
    return Column(
        name=way.name,
        profile=way.profile,
        nodes=way.nodes,
        ended=len(way.jct),
        unended=len(arrivals) - len(way.jct),
        wait_s=wait.to_dict(),
        jct_s=jct.to_dict(),
        makespan_s=round(max(way.last_end - arrivals[0].time, 0.0), 3),
        worker_hours=round(way.worker_s / 3600, 4),
        busy_node_hours=round(way.busy_s / 3600, 4),
        restarts=way.restarts,
        resizes=way.resizes,
    )


def _rows(ways: Sequence[_Way], tasks: Sequence[Task]) -> list[Row]:
    def change(number: int) -> float:
        before, after = (way.jct.get(number) for way in ways[1:])
        if before is None or after is None:
            return 0.0 if before is after else float("inf")
        return abs(after - before)

    chosen = sorted(range(len(tasks)), key=lambda number: (-change(number), number))[:_SHOWN]
    return [
        Row(
            tasks[number].id, tasks[number].spec.name, tasks[number].spec.user,
            tuple(_rounded(way.wait.get(number)) for way in ways),
            tuple(_rounded(way.jct.get(number)) for way in ways),
        )
        for number in chosen
    ]  # fmt: skip


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
