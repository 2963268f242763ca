"""The Philly log (Jeon et al., USENIX ATC 2019) as rigid tasks."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from trainmaster.domain.ids import UserName
from trainmaster.domain.task import TaskSpec
from trainmaster.domain.units import Resources
from trainmaster.simulator.loop import Arrival
from trainmaster.simulator.training import Length
from trainmaster.simulator.workload.rows import rows

FIELDS = ("timestamp", "duration", "num_gpus", "cluster")


def philly(path: Path, gpus_per_node: int = 8, estimates: bool = True) -> Iterator[Arrival]:
    """Rows `timestamp,duration,num_gpus,…,cluster` in order of time, the first at 0 s.

    A job of g GPUs becomes ceil(g / gpus_per_node) workers that share them evenly (rounded up), its virtual
    cluster the user. `estimates`: the scheduler is told the true duration, as backfill wants one.
    Holds four numbers per row, since the log is not in order of time; tasks are made as they are due.
    Raises BadWorkload.
    """
    times, lengths, gpus, clusters = array("d"), array("d"), array("l"), array("l")
    names: dict[str, int] = {}
    for row in rows(path, FIELDS):
        text = row.text("timestamp")
        try:
            times.append((datetime.fromisoformat(text) - datetime(1970, 1, 1)).total_seconds())
        except (ValueError, TypeError):
            raise row.bad("timestamp", f"is {text!r}, not like 2017-10-09 07:01:55") from None
        lengths.append(row.number("duration", 1e-3))
        gpus.append(row.count("num_gpus"))
        clusters.append(names.setdefault(row.text("cluster"), len(names)))
    users = [UserName(name) for name in names]
    first = min(times, default=0.0)
    specs: dict[tuple[int, int], dict[str, object]] = {}
    for at in sorted(range(len(times)), key=times.__getitem__):
        shape = (gpus[at], clusters[at])
        common = specs.get(shape)
        if common is None:
            workers = -(-gpus[at] // gpus_per_node)
            common = specs[shape] = {
                "command": ("train",),
                "resources": Resources(gpus=-(-gpus[at] // workers)),
                "min_workers": workers,
                "max_workers": workers,
                "user": users[clusters[at]],
            }
        length = lengths[at]
        spec = TaskSpec("job", estimate_s=length if estimates else None, **common)  # type: ignore[arg-type]
        yield Arrival(times[at] - first, spec, Length(length))
