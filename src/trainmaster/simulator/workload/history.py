"""The service's own history as a workload: what was submitted, and how much work each task was."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from trainmaster.domain.ids import TaskId
from trainmaster.domain.learned import Learned, learn
from trainmaster.domain.run import Run
from trainmaster.domain.task import NO_TRIGGER, Elasticity, Task, TaskSpec
from trainmaster.policies.allotment.estimates import fitted_seconds
from trainmaster.policies.base import Claim
from trainmaster.ports import Metric, Past
from trainmaster.simulator.loop import Arrival
from trainmaster.simulator.speed import Measured, Scaling
from trainmaster.simulator.training import Length

_LEAST_S = 1e-3  # work of a task that was over at once


@dataclass(frozen=True, slots=True)
class Workload:
    """`tasks[i]` is what was submitted as `arrivals[i]`. `left_out`: how many could not be replayed, by
    reason."""

    arrivals: list[Arrival]
    tasks: list[Task]
    left_out: Counter[str]


def history(
    pasts: Sequence[Past], reports: Mapping[TaskId, Sequence[Metric]], since: float, until: float
) -> Workload:
    """Arrivals at seconds after `since`, in order; tasks that ran already at `since` arrive then, with what
    they still had to do.

    A task's work is what it ran: in seconds for a rigid one; an elastic one's progress is summed over the
    counts it had, at the speeds that `reports` told of (Amdahl's law with a serial share of 0.1 where they
    did not). A task that reported progress is taken to go on from a checkpoint after an interruption, so all
    its attempts count; any other begins anew, so its last one does. One that had not ended by `until` did
    what it had done, or its estimate if that is longer. Priorities changed later are
    not replayed; parts of workflows arrive when they did.
    """
    left_out: Counter[str] = Counter()
    found: list[tuple[float, Past, Arrival]] = []
    for past in pasts:
        told = reports.get(past.task.id, ())
        training = _training(past, told, since, until)
        if training is None:
            left_out["never started"] += 1
        else:
            time = max(past.task.submitted_at - since, 0.0)
            found.append((time, past, Arrival(time, past.task.spec, training)))
    found.sort(key=lambda entry: (entry[0], entry[1].task.seq))
    tasks = [past.task for _, past, _ in found]
    numbers = {task.id: number for number, task in enumerate(tasks, 1)}
    arrivals = [replace(arrival, spec=_spec(past, numbers, since)) for _, past, arrival in found]
    return Workload(arrivals, tasks, left_out)


def _spec(past: Past, numbers: Mapping[TaskId, int], since: float) -> TaskSpec:
    """As submitted, with what refers to absolute times or other tasks in the terms of the replay."""
    spec = past.task.spec
    # The simulation numbers its tasks as they arrive; what a task waited for before the window has ended.
    after = tuple(
        TaskId(f"t-{numbers[need]:07d}")
        for need in spec.after
        if numbers.get(need, len(numbers) + 1) < numbers[past.task.id]
    )
    elasticity = spec.elasticity
    if elasticity is Elasticity.AUTO and not past.generations:
        elasticity = Elasticity.NONE  # it may have several workers, but nobody could change their number
    deadline = None if spec.deadline is None else spec.deadline - since
    start_at = None if spec.start_at is None else max(spec.start_at - since, 0.0)
    return replace(
        spec,
        after=after,
        elasticity=elasticity,
        deadline=deadline,
        start_at=start_at,
        queue_timeout_s=None,
        part=None,
        trigger=NO_TRIGGER,
        due_ms=None,  # what fired is submitted as it was
    )


def _training(past: Past, told: Sequence[Metric], since: float, until: float) -> Length | None:
    task, spec = past.task, past.task.spec
    speed = speed_of(task, _learned(past, told))
    work = performed(past, speed, since, until)
    if not work and spec.estimate_s is None:
        return None
    if task.ended_at is None:
        work = max(work, estimated(spec, speed) or 0.0)
    return training_of(work, speed, past.reported) if work else None


def performed(past: Past, speed: Measured | None, since: float, until: float) -> float:
    """The work a task did within [since, until) that counts: seconds it ran; of an elastic one, seconds one
    worker would have taken."""
    runs = [run for run in past.runs if run.started_at is not None]
    if not past.reported and runs:
        last = max(run.id.attempt for run in runs)
        runs = [run for run in runs if run.id.attempt == last]
    spans = _stretches(runs, since, until)
    seconds = sum((speed.rate(count) if speed else 1.0) * (high - low) for low, high, count in spans)
    return max(seconds, _LEAST_S) if runs else 0.0


def estimated(spec: TaskSpec, speed: Measured | None) -> float | None:
    """The work by the submitter's estimate, which is of `min_workers`."""
    if spec.estimate_s is None:
        return None
    return spec.estimate_s * (speed.rate(spec.min_workers) if speed else 1.0)


def speed_of(task: Task, learned: Learned) -> Measured | None:
    """By its workers, as the policies themselves would fit it; None of a rigid task."""
    spec = task.spec
    if not spec.elastic:
        return None
    claim = Claim(task, 0, spec.min_workers, spec.max_workers, True, learned)
    return Measured(tuple(1 / seconds for seconds in fitted_seconds(claim)))


def training_of(work: float, speed: Measured | None, resumes: bool) -> Length:
    return Length(work, resumes) if speed is None else Scaling(work, speed, resumes)


def start_seconds(pasts: Sequence[Past]) -> float:
    """The median time from launch to running; 0 if none ran."""
    taken = [
        run.started_at - run.launched_at
        for past in pasts
        for run in past.runs
        if run.started_at is not None and run.launched_at and run.started_at >= run.launched_at
    ]
    return statistics.median(taken) if taken else 0.0


def _stretches(runs: Iterable[Run], since: float, until: float) -> list[tuple[float, float, int]]:
    """(from, to, workers) where the number of live workers did not change, within [since, until)."""
    changes: Counter[float] = Counter()
    for run in runs:
        low = max(run.started_at or since, since)
        high = min(run.ended_at if run.ended_at is not None else until, until)
        if high > low:
            changes[low] += 1
            changes[high] -= 1
    found, count, before = [], 0, 0.0
    for time in sorted(changes):
        if count:
            found.append((before, time, count))
        count, before = count + changes[time], time
    return found


def _learned(past: Past, told: Sequence[Metric]) -> Learned:
    """What the service had learnt of its speed by the end."""
    learned = Learned()
    for report in told:
        count = sum(
            run.id.attempt == report.run.attempt
            and (run.started_at or report.time) <= report.time
            and (run.ended_at is None or run.ended_at >= report.time)
            for run in past.runs
        )
        learned = learn(learned, report.time, report.step, max(count, 1), report.values)
    return learned
