"""The workloads of the Pollux artifact: name, time, application, num_replicas, batch_size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trainmaster.domain.task import TaskSpec
from trainmaster.domain.units import Resources
from trainmaster.simulator.errors import UnknownApplication
from trainmaster.simulator.loop import Arrival
from trainmaster.simulator.profiled import GOODPUT, Profiled, most_workers
from trainmaster.simulator.profiles import Applications
from trainmaster.simulator.workload.rows import rows

FIELDS = ("name", "time", "application", "num_replicas", "batch_size")
RIGID, BATCH, ADAPTIVE = "rigid", "batch", "adaptive"
_NCF = 32_768  # the batch Pollux trains ncf with, on one GPU, under every policy that could choose


def pollux(
    path: Path,
    applications: Applications,
    mode: str = ADAPTIVE,
    tells: str = GOODPUT,
    remaining: bool = False,
) -> Iterator[Arrival]:
    """What of a row the user fixes: RIGID its workers and batch (as for Tiresias), BATCH its batch (as for
    Optimus), ADAPTIVE nothing (as for Pollux). Raises BadWorkload, UnknownApplication."""
    for row in rows(path, FIELDS):
        workers, wanted = row.count("num_replicas"), row.count("batch_size")
        try:
            app = applications[row.text("application")]
        except UnknownApplication as error:
            raise row.bad(
                "application", f"is {error.fields['name']!r}, of which there is no profile"
            ) from error
        if not app.base <= wanted <= app.most_batch:
            raise row.bad("batch_size", f"is {wanted}, outside {app.base}..{app.most_batch}")
        batch: int | None = wanted
        if mode == ADAPTIVE:
            batch = _NCF if app.name == "ncf" else None
        most = workers if mode == RIGID else 1 if app.name == "ncf" else min(most_workers(app, batch), 64)
        spec = TaskSpec(
            row.text("name"),
            command=("train",),
            resources=Resources(gpus=1),
            min_workers=workers if mode == RIGID else 1,
            max_workers=most,
            labels=(("application", app.name),),
        )
        yield Arrival(row.number("time"), spec, Profiled(app, batch, tells, remaining))
