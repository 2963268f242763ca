"""What a simulated run amounted to, kept in a space that does not grow with the number of tasks."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trainmaster.domain.errors import TrainmasterError
from trainmaster.domain.events import TaskSubmitted
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.task import Task
from trainmaster.scheduler.state import Outcome

if TYPE_CHECKING:
    from trainmaster.simulator.world import Lived, World

EXACT = 10_000  # so many values are kept as they are; more are counted in bins
_BIN = math.log(1.01)


class Quantiles:
    """Mean and quantiles of positive values: exact up to EXACT of them, then to within 0.5 %."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.most = 0.0
        self._exact: array[float] | None = array("d")
        self._bins: Counter[int] = Counter()

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.most = max(self.most, value)
        if self._exact is not None:
            self._exact.append(value)
            if len(self._exact) > EXACT:
                for old in self._exact:
                    self._bins[_bin(old)] += 1
                self._exact = None
        else:
            self._bins[_bin(value)] += 1

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.0

    def at(self, share: float) -> float:
        """The smallest value that `share` (0..1) of all do not exceed."""
        if not self.count:
            return 0.0
        rank = max(math.ceil(share * self.count), 1)
        if self._exact is not None:
            return sorted(self._exact)[rank - 1]
        seen = 0
        for place in sorted(self._bins):
            seen += self._bins[place]
            if seen >= rank:
                return 0.0 if place < -4000 else math.exp((place + 0.5) * _BIN)
        return self.most

    def to_dict(self) -> dict[str, float]:
        shown = {"mean": self.mean, "p50": self.at(0.5), "p99": self.at(0.99), "max": self.most}
        return {name: round(value, 3) for name, value in shown.items()}


def _bin(value: float) -> int:
    return math.floor(math.log(value) / _BIN) if value > 1e-12 else -10_000


class Report:
    """Times in seconds. JCT: from submission to the end; wait: from submission to the first start.

    Node-hours: of nodes that are there, from the beginning to the end of the run; busy ones hold a worker.
    Utilisation: the largest share of cores, memory and GPUs that workers held. Energy: `idle_w` for a node
    that is there, `worker_w` more for each worker that trains (an assumption of ours: the traces have no
    power). Fairness: Jain's index over (seconds of training) / JCT of the tasks that
    succeeded: 1 if all were slowed down alike. `on_end` is called with each task that ends, for what this
    summary leaves out.
    """

    def __init__(
        self,
        on_end: Callable[[Task, Lived | None], None] | None = None,
        idle_w: float = 100.0,
        worker_w: float = 250.0,
    ) -> None:
        self.jct, self.wait = Quantiles(), Quantiles()
        self.ends: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.restarts = self.regroups = self.submitted = 0
        self.worker_s = self.makespan = 0.0
        self.node_s = self.busy_node_s = self.utilisation = 0.0
        self.last_end = 0.0
        self._first: float | None = None
        self._on_end = on_end
        self._idle_w, self._worker_w = idle_w, worker_w
        self._ratio = self._ratio2 = 0.0
        self.accuracy = Quantiles()

    def refused(self, event: TaskSubmitted, error: TrainmasterError) -> None:
        self.refusals[error.code] += 1

    def take(self, outcome: Outcome, now: float) -> None:
        self.submitted += len(outcome.new_tasks)

    def ended(self, task: Task, life: Lived | None) -> None:
        ended_at = task.ended_at or 0.0
        if life is not None:
            self._first = life.arrived if self._first is None else min(self._first, life.arrived)
        self.ends[str(task.state)] += 1
        self.last_end = max(self.last_end, ended_at)
        if life is not None:
            self.restarts += max(life.starts - 1, 0)
            self.regroups += life.regroups
            self.worker_s += life.worker_s
            accuracy = life.training.metrics().get("accuracy")
            if accuracy is not None:
                self.accuracy.add(accuracy)
        if task.state is TaskState.SUCCEEDED:
            arrived = task.submitted_at if life is None else life.arrived
            jct = ended_at - arrived
            self.jct.add(jct)
            self.wait.add(task.waited_s(ended_at) + task.submitted_at - arrived)
            ratio = task.ran_s / jct if jct > 0 else 1.0
            self._ratio += ratio
            self._ratio2 += ratio * ratio
        if self._on_end is not None:
            self._on_end(task, life)

    def close(self, now: float, world: World) -> None:
        self.makespan = max(self.last_end - (self._first or 0.0), 0.0)
        for life in world.lives.values():  # those that have not ended
            self.worker_s += life.worker_s
        world.usage.until(now)
        self.node_s, self.busy_node_s = world.usage.there_s, world.usage.busy_s
        self.utilisation = world.usage.utilisation

    @property
    def fairness(self) -> float:
        return self._ratio**2 / (self.jct.count * self._ratio2) if self._ratio2 else 1.0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; the same run gives the same bytes."""
        node_h = self.node_s / 3600
        energy = (node_h * self._idle_w + self.worker_s / 3600 * self._worker_w) / 1000
        return {
            "submitted": self.submitted,
            "ended": dict(sorted(self.ends.items())),
            "refused": dict(sorted(self.refusals.items())),
            "jct_s": self.jct.to_dict(),
            "wait_s": self.wait.to_dict(),
            "makespan_s": round(self.makespan, 3),
            "worker_hours": round(self.worker_s / 3600, 4),
            "node_hours": round(node_h, 4),
            "busy_node_hours": round(self.busy_node_s / 3600, 4),
            "utilisation": round(self.utilisation, 4),
            "energy_kwh": round(energy, 4),
            "fairness": round(self.fairness, 4),
            "restarts": self.restarts,
            "regroups": self.regroups,
            "accuracy": self.accuracy.to_dict() if self.accuracy.count else None,
        }
