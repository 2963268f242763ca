"""A group of workers without a service: the benchmark writes the plan that the scheduler would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

LIMIT_S = 280.0


def start(
    module: str,
    folder: Path,
    workers: int,
    enter: Sequence[Path] = (),
    pins: Sequence[int] = (),
    **env: str,
) -> None:
    """Run `python -m MODULE worker` as a group of `workers` and wait for its end.

    `folder` is empty at first; each worker finds it as FOLDER. `enter` and `pins`: each worker's control
    group and core, for `entered`. Raises SystemExit if a worker fails.
    """
    processes = []
    for rank in range(workers):
        own = {
            **os.environ, "OMP_NUM_THREADS": "1", "FOLDER": str(folder), "RANK": str(rank),
            "WORLD_SIZE": str(workers), "MASTER_ADDR": "127.0.0.1", "TRAINMASTER_GROUP": str(folder),
            "TRAINMASTER_RANK": str(rank), "TRAINMASTER_REPORT": str(folder / f"report-{rank}"), **env,
        }  # fmt: skip
        if enter:
            own |= {"ENTER": str(enter[rank] / "cgroup.procs"), "CORE": str(pins[rank])}
        processes.append(subprocess.Popen([sys.executable, "-m", module, "worker"], env=own))
    try:
        _plan(folder, processes)
        for process in processes:
            if process.wait(LIMIT_S):
                raise SystemExit("a worker failed")
    finally:
        for process in processes:
            process.kill()
            process.wait()


def entered() -> None:
    """In a worker: enter its control group and keep to its core.

    After imports, which would take long in a small group. Unpinned, a worker with most of a core is now and
    then held up by a neighbour on the same one, and its limit is not what decides.
    """
    Path(os.environ["ENTER"]).write_text(str(os.getpid()))
    cores = sorted(os.sched_getaffinity(0))
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), {cores[int(os.environ["CORE"]) % len(cores)]})


def _plan(folder: Path, processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Name all of them as soon as all are ready."""
    reports = [folder / f"report-{rank}" for rank in range(len(processes))]
    while not all(path.exists() and path.read_text().endswith("\n") for path in reports):
        if any(process.poll() is not None for process in processes):
            raise SystemExit("a worker ended before it was ready")
        time.sleep(0.01)
    store = json.loads(reports[0].read_text().splitlines()[0])["store"]
    plan = {"generation": 1, "members": list(range(len(processes))), "store": store}
    (folder / "part").write_text(json.dumps(plan))
    (folder / "part").rename(folder / "plan")
