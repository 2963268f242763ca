"""What the last measurement of a node still counts of runs that have ended since."""

from __future__ import annotations

from dataclasses import dataclass

from trainmaster.domain.cluster import Gauges
from trainmaster.domain.run import Run


@dataclass(slots=True)
class Departures:
    """Seconds of the life of ended runs, per node: `measured` lie within the interval of its latest gauges,
    `unmeasured` after it, so that the next gauges will count them.

    Two sums instead of a list of runs: a node may end thousands of functions between two measurements.
    """

    measured: float = 0.0
    unmeasured: float = 0.0

    def ended(self, run: Run, gauges: Gauges, now: float) -> None:
        """A run of the node is over at `now`."""
        since = gauges.time - gauges.interval
        self.measured += max(gauges.time - max(run.launched_at, since), 0.0)
        self.unmeasured += max(now - max(run.launched_at, gauges.time), 0.0)

    def measure(self) -> None:
        """New gauges have come, whose interval began where that of the old ones ended."""
        self.measured, self.unmeasured = self.unmeasured, 0.0

    def runs(self, gauges: Gauges) -> float:
        """How many of the runs that the gauges saw at work, on average, are gone."""
        return self.measured / gauges.interval if gauges.interval else 0.0
