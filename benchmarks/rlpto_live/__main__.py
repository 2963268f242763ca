"""Twelve tasks of the RLPTO paper with true accuracies, and what the simulator says of the same workload.

Usage: python -m benchmarks.rlpto_live [--methods NAME …] [--seeds 0] [--out docs/results/rlpto-live.json]
       python -m benchmarks.rlpto_live --wall   # on the wall clock: profiles rlpto and fair
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.rlpto_live.simulated import fitted, simulate
from benchmarks.rlpto_live.wall import check
from benchmarks.rlpto_live.world import EPOCHS, Job, Settings, prepare, samples, twelve, virtually
from trainmaster.policies.allotment.fair import Fair
from trainmaster.policies.allotment.fcfs import FcfsAllotment
from trainmaster.policies.allotment.fixed import Fixed
from trainmaster.policies.allotment.marginal_goodput import MarginalGoodput
from trainmaster.policies.allotment.rlpto import Rlpto
from trainmaster.policies.allotment.servers import Servers
from trainmaster.policies.allotment.slaq import Slaq
from trainmaster.policies.base import Allotment
from trainmaster.policies.registry import Policies, Profile, build
from trainmaster.rl.experiment import CYCLE_S
from trainmaster.simulator.workload.images import SIZES, TWELVE_NODES, Cluster

# Name: its policy, β of its tasks' stop(β) (None: so many epochs), whether one task trains per server.
METHODS: dict[str, tuple[Callable[[], Allotment], float | None, bool]] = {
    "FS": (Fair, None, True),
    "FCFS": (FcfsAllotment, None, True),
    "SLAQ": (lambda: Slaq(epoch_s=CYCLE_S), None, True),
    "RLPTO β=0.0005": (lambda: Rlpto(beta=0.0005), 0.0005, True),
    "RLPTO β=0.001": (lambda: Rlpto(beta=0.001), 0.001, True),
    "FS β=0.001": (Fair, 0.001, True),
    "marginal_goodput free β=0.001": (MarginalGoodput, 0.001, False),
}
CURVES = (1, 4)  # workers of the trainings that curves are fitted to
CURVE_SEED = 900  # of no run of the table


def policies(allotment: Allotment, servers: int | None) -> Policies:
    base = build(Profile("images", "fcfs", "fixed", "binpack", "none"))
    chosen = allotment if servers is None else Servers(allotment, servers)
    return Policies(base.profile, base.ordering, chosen, base.placement, base.preemption)


def curves(folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Train one task of each size with 1 and with 4 workers, and fit the simulator's curves to them."""
    jobs = [
        Job(
            f"{size}-{workers}",
            size,
            workers,
            workers,
            Settings(str(folder), samples(size), CURVE_SEED, EPOCHS),
        )
        for size in SIZES
        for workers in CURVES
    ]
    cluster = Cluster(sum(job.most for job in jobs), len(jobs))
    with tempfile.TemporaryDirectory(prefix="trainmaster-") as name:
        run = virtually(Path(name), jobs, cluster, policies(Fixed(), None))
    rows = {row["name"]: row["accuracies"] for row in run["tasks"]}
    found = {}
    for size in SIZES:
        alone, parted = (rows[f"{size}-{workers}"] for workers in CURVES)
        found[size] = fitted(alone, parted, CURVES[1])
        say(f"{size:6} {found[size]}  ends at {alone[-1]:.4f}, with {CURVES[1]} at {parted[-1]:.4f}")
    say(f"curves: {run['wall_s']} s")
    return {"fitted": found, "accuracies": rows, "wall_s": run["wall_s"]}


def compared(
    folder: Path, name: str, seeds: list[int], fits: dict[str, Any], say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Of every seed: the live run in virtual time, and the simulated one."""
    cluster = TWELVE_NODES
    make, beta, tied = METHODS[name]
    servers = cluster.servers if tied else None
    runs = []
    for seed in seeds:
        jobs = twelve(folder, seed, cluster.nodes, beta)
        with tempfile.TemporaryDirectory(prefix="trainmaster-") as data:
            live = virtually(Path(data), jobs, cluster, policies(make(), servers))
        model = simulate(jobs, fits, cluster, policies(make(), servers))
        runs.append({"seed": seed, "live": live, "simulated": model})
        say(f"{name:30} {seed} live {line(live)}  simulated {line(model)}  took {live['wall_s']} s")
    return runs


def line(run: dict[str, Any]) -> str:
    return f"{run['makespan_s']:7.0f} s {100 * run['accuracy']:.2f} % {run['epochs']:4.1f} epochs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--curves", type=Path, help="of an earlier run, instead of training them again")
    parser.add_argument("--wall", action="store_true", help="the check on the wall clock instead")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()

    def say(line: str) -> None:
        print(line, flush=True)

    with tempfile.TemporaryDirectory(prefix="trainmaster-images-") as name:
        folder = prepare(Path(name))
        known = json.loads(options.curves.read_text())["curves"] if options.curves else curves(folder, say)
        if options.wall:
            checked = check(folder, known["fitted"], say)
            if options.out:
                options.out.write_text(json.dumps({"curves": known, "profiles": checked}) + "\n")
            return
        found: dict[str, Any] = {"curves": known, "methods": {}}
        for method in options.methods:
            found["methods"][method] = compared(folder, method, options.seeds, known["fitted"], say)
            if options.out:
                options.out.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
