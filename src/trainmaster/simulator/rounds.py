"""Allotment policies alone, in rounds: a cluster of equal nodes, and nothing else of the scheduler.

For what needs thousands of decisions in a second (learning, tables over many seeds) and for results published
for schedulers that decide in rounds. The policies are the very objects the service uses and they see the same
`AllotmentView`. What a live cluster adds (queues, quotas, faults, groups that form) is in `loop`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from trainmaster.domain.errors import InvariantBroken
from trainmaster.domain.ids import NodeId, TaskId
from trainmaster.domain.learned import Learned, learn, renewed
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.replacing import replacer
from trainmaster.domain.task import Task
from trainmaster.domain.units import Resources
from trainmaster.policies.base import Allotment, AllotmentView, Claim, NodeView
from trainmaster.simulator.errors import BadSetting, Stalled
from trainmaster.simulator.loop import Arrival
from trainmaster.simulator.training import Crew, Training

_moved = replacer(Task)
GPU = Resources(gpus=1)


@dataclass(frozen=True, slots=True)
class Rounds:
    """`nodes` of `per_node` workers each; a decision every `period_s`; who gets another placement rests for
    `restart_s`. `informed`: claims carry what is known. `cooldown_s`: between two resizes of a task. Resized
    tasks are placed anew: with `smallest_first` the smallest first, otherwise in the order of the
    claims. `learning`: claims carry what the training reported."""

    nodes: int = 16
    per_node: int = 4
    period_s: float = 60.0
    restart_s: float = 30.0
    informed: bool = True
    cooldown_s: float = 0.0
    smallest_first: bool = True
    learning: bool = False

    def __post_init__(self) -> None:
        for name in ("nodes", "per_node", "period_s"):
            if not getattr(self, name) > 0:
                raise BadSetting(name, getattr(self, name), "a positive number")


class Job:
    """A task of a run in rounds."""

    __slots__ = ("at", "done_at", "learned", "name", "paused", "resized_at", "restarts", "task", "training")

    def __init__(self, task: Task, training: Training) -> None:
        self.task, self.training = task, training
        self.at: dict[int, int] = {}  # workers by node
        self.paused = 0.0
        self.restarts = 0
        self.resized_at = -math.inf
        self.done_at: float | None = None
        self.learned = Learned()

    @property
    def workers(self) -> int:
        return sum(self.at.values())


@dataclass(slots=True)
class Outcome:
    """Seconds. `jct` in the order of submission; `worker_s`: of workers held."""

    jct: list[float]
    jobs: list[Job]
    rounds: int
    restarts: int
    worker_s: float

    @property
    def mean_jct(self) -> float:
        return sum(self.jct) / len(self.jct)


def run(
    policy: Allotment,
    arrivals: Iterable[Arrival],
    rounds: Rounds,
    watch: Callable[[float, Mapping[TaskId, Job]], None] | None = None,
) -> Outcome:
    """All tasks to their end. Raises InvariantBroken for a policy that gives what it must not."""
    waiting = sorted(arrivals, key=lambda arrival: arrival.time)
    jobs: dict[TaskId, Job] = {}
    ended: list[Job] = []
    total, now, count, worker_s = len(waiting), 0.0, 0, 0.0
    waiting.reverse()
    submitted = 0
    idle_since: float | None = None
    while len(ended) < total:
        if not jobs and waiting:
            now = max(now, math.floor(waiting[-1].time / rounds.period_s) * rounds.period_s)
        then = now
        now += rounds.period_s
        for job in list(jobs.values()):
            worker_s += job.workers * _train(job, then, rounds.period_s)
            if job.done_at is not None:
                ended.append(jobs.pop(job.task.id))
        while waiting and waiting[-1].time <= now:
            arrival = waiting.pop()
            submitted += 1
            task = Task(
                TaskId(f"t-{submitted:05d}"), submitted, arrival.spec, TaskState.QUEUED,
                arrival.time, arrival.spec.urgency, arrival.spec.priority, queued_at=arrival.time,
            )  # fmt: skip
            jobs[task.id] = Job(task, arrival.training)
        if jobs:
            _decide(policy, jobs, rounds, now, count)
            count += 1
            if any(job.at for job in jobs.values()):
                idle_since = None
            elif idle_since is None:
                idle_since = now
            elif now - idle_since > 1000 * rounds.period_s:
                raise Stalled(now, list(jobs))
        if watch is not None:
            watch(now, jobs)
    ended.sort(key=lambda job: job.task.seq)
    return Outcome(
        [(job.done_at or 0.0) - job.task.submitted_at for job in ended],
        ended,
        count,
        sum(job.restarts for job in ended),
        worker_s,
    )


def _train(job: Job, now: float, seconds: float) -> float:
    """Go on for so long; the seconds that workers were held."""
    if not job.at:
        return 0.0
    rest = min(job.paused, seconds)
    job.paused -= rest
    left, training = seconds - rest, job.training
    while left > 0:
        ahead, rate = training.ahead(), training.rate()
        if rate * left < ahead * (1 - 1e-9):
            training.advance(rate * left)
            return seconds
        left -= ahead / rate
        training.advance(ahead)
        if training.over:
            job.done_at = now + seconds - max(left, 0.0)
            return seconds - max(left, 0.0)
    return seconds


def _decide(policy: Allotment, jobs: dict[TaskId, Job], rounds: Rounds, now: float, salt: int) -> None:
    view = view_of(jobs, rounds, now, salt, policy.suspends)
    given = policy.allot(view)
    check(view, given, policy.suspends)
    changed: list[tuple[int, int, Job, int]] = []
    for claim in view.claims:
        job = jobs[claim.task.id]
        wanted = given.get(claim.task.id, claim.workers)
        if wanted == claim.workers:
            continue
        if job.at:
            task = job.task
            ran = task.ran_s + now - (task.started_at or now)
            job.task = _moved(task, ran_s=ran, started_at=None, workers=0)
        job.at = {}
        if wanted:
            changed.append((wanted if rounds.smallest_first else 0, len(changed), job, wanted))
    free = [rounds.per_node] * rounds.nodes
    for job in jobs.values():
        for node, workers in job.at.items():
            free[node] -= workers
    for _, _, job, wanted in sorted(changed, key=lambda entry: entry[:2]):
        while wanted:
            node = max(range(rounds.nodes), key=free.__getitem__)
            part = min(free[node], wanted)
            job.at[node] = part
            free[node] -= part
            wanted -= part
        first = job.task.first_started_at
        job.restarts += first is not None
        job.paused = rounds.restart_s
        job.resized_at = now
        job.learned = renewed(job.learned, resizes=job.restarts)
        job.task = _moved(
            job.task, workers=job.workers, started_at=now, state=TaskState.RUNNING,
            accepted_at=job.task.accepted_at if job.task.accepted_at is not None else now,
            first_started_at=now if first is None else first,
        )  # fmt: skip
        job.training.crew(Crew(tuple(job.at.values())))
    if rounds.learning:
        for job in jobs.values():
            if job.at and not job.paused:
                metrics = {**job.training.metrics(), "samples_s": job.training.rate()}
                job.learned = learn(job.learned, now, job.training.done, job.workers, metrics)


def view_of(
    jobs: Mapping[TaskId, Job], rounds: Rounds, now: float, salt: int, suspends: bool
) -> AllotmentView:
    """What the policy sees: running tasks as accepted, then waiting ones as submitted."""
    size = rounds.nodes * rounds.per_node
    claims = []
    for job in jobs.values():
        spec = job.task.spec
        most = min(spec.max_workers, size)
        known = job.training.known(most) if rounds.informed else None
        if known is not None:
            most = min(most, len(known.rates))
        least, most = spec.min_workers, max(most, spec.min_workers)
        settled = not job.at or now - job.resized_at >= rounds.cooldown_s
        if not settled:
            least = most = job.workers
        movable = settled or (suspends and spec.preemptible)
        claims.append(
            Claim(job.task, job.workers, least, most, movable, job.learned, rounds.restart_s, known)
        )
    claims.sort(key=lambda c: (not c.workers, c.task.accepted_at or 0.0 if c.workers else 0.0, c.task.seq))
    held = [0] * rounds.nodes
    for job in jobs.values():
        for node, workers in job.at.items():
            held[node] += workers
    nodes = [
        NodeView(NodeId(f"n{i:02d}"), GPU * rounds.per_node, GPU * (rounds.per_node - n), 0.0, 0.0, n, i)
        for i, n in enumerate(held)
    ]
    return AllotmentView(now, claims, GPU * (size - sum(held)), nodes, salt)


def check(view: AllotmentView, given: Mapping[TaskId, int], suspends: bool) -> None:
    """Raise InvariantBroken: a policy that over-allots, starves a minimum or moves what must not be moved
    is a defect."""
    free = view.free
    for claim in view.claims:
        wanted = given.get(claim.task.id, claim.workers)
        free += claim.task.spec.resources * (claim.workers - wanted)
        may_rest = not claim.workers or (suspends and claim.task.spec.preemptible)
        if wanted != claim.workers and not claim.movable:
            raise InvariantBroken(f"{claim.task.id} was moved within its cooldown", rule="cooldown")
        if not (claim.least <= wanted <= claim.most or (wanted == 0 and may_rest) or wanted == claim.workers):
            raise InvariantBroken(f"{claim.task.id} got {wanted} workers", rule="bounds")
    if not Resources().fits(free):
        raise InvariantBroken("more was given than there is", rule="over-allotment")


__all__ = ["Job", "Outcome", "Rounds", "replace", "run", "view_of"]
