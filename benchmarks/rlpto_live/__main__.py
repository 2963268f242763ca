"""Twelve tasks of the RLPTO paper with true accuracies, and what the simulator says of the same workload.

Usage: python -m benchmarks.rlpto_live [--methods NAME …] [--seeds 0] [--out docs/results/rlpto-live.json]
       python -m benchmarks.rlpto_live --wall   # on the wall clock: profiles rlpto and fair
With --simulated only the simulator runs, beside the live runs that the file holds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.rlpto_live.simulated import fitted, simulate
from benchmarks.rlpto_live.wall import check, simulated, workload
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
    run = trained(folder, CURVES, CURVE_SEED)
    rows = {row["name"]: row["accuracies"] for row in run["tasks"]}
    say(f"curves: {run['wall_s']} s")
    return {"fitted": fitted_all(rows, say), "accuracies": rows, "wall_s": run["wall_s"]}


def trained(folder: Path, counts: Sequence[int], seed: int, epochs: int = EPOCHS) -> dict[str, Any]:
    """A task of each size with each of these numbers of workers, all at once."""
    jobs = [
        Job(f"{size}-{workers}", size, workers, workers, Settings(str(folder), samples(size), seed, epochs))
        for size in SIZES
        for workers in counts
    ]
    cluster = Cluster(sum(job.most for job in jobs), len(jobs))
    with tempfile.TemporaryDirectory(prefix="trainmaster-") as name:
        return virtually(Path(name), jobs, cluster, policies(Fixed(), None))


def fitted_all(rows: Mapping[str, Sequence[float]], say: Callable[[str], None]) -> dict[str, Any]:
    found = {}
    for size in SIZES:
        told = {workers: rows[f"{size}-{workers}"] for workers in CURVES}
        found[size] = fitted(told)
        say(f"{size:6} {found[size]}  ends at {', '.join(f'{told[w][-1]:.4f} with {w}' for w in CURVES)}")
    return found


def compared(
    folder: Path, name: str, seeds: list[int], fits: dict[str, Any], say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Of every seed: the live run in virtual time, and the simulated one."""
    runs = []
    for seed in seeds:
        jobs, chosen = posed(folder, name, seed)
        with tempfile.TemporaryDirectory(prefix="trainmaster-") as data:
            live = virtually(Path(data), jobs, TWELVE_NODES, chosen)
        runs.append({"seed": seed, "live": live, "simulated": modelled(name, seed, fits)})
        say(f"{name:30} {seed} {differing(runs[-1])}  took {live['wall_s']} s")
    return runs


def posed(folder: Path, name: str, seed: int) -> tuple[list[Job], Policies]:
    """The tasks of a method and its policies, fresh ones."""
    make, beta, tied = METHODS[name]
    servers = TWELVE_NODES.servers if tied else None
    return twelve(folder, seed, TWELVE_NODES.nodes, beta), policies(make(), servers)


def modelled(name: str, seed: int, fits: dict[str, Any]) -> dict[str, Any]:
    jobs, chosen = posed(Path(), name, seed)  # the simulator reads no images
    return simulate(jobs, fits, TWELVE_NODES, chosen)


def again(found: dict[str, Any], fits: dict[str, Any], say: Callable[[str], None]) -> None:
    """Simulate anew what is live in there."""
    for name, runs in found.get("methods", {}).items():
        for run in runs:
            run["simulated"] = modelled(name, run["seed"], fits)
            say(f"{name:30} {run['seed']} {differing(run)}")
    for profile, run in found.get("profiles", {}).items():
        run["simulated"] = simulated(workload(Path()), profile, run["start_s"], fits)
        say(f"{profile:30} {line(run['wall'])}, simulated {line(run['simulated'])}")


def differing(run: dict[str, Any]) -> str:
    live, model = run["live"], run["simulated"]
    time = model["makespan_s"] / live["makespan_s"] - 1
    accuracy = model["accuracy"] - live["accuracy"]
    return f"live {line(live)}, simulated {line(model)}: {time:+.1%}, {100 * accuracy:+.2f} points"


def line(run: dict[str, Any]) -> str:
    return f"{run['makespan_s']:7.0f} s {100 * run['accuracy']:.2f} % {run['epochs']:4.1f} epochs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--curves", type=Path, help="of an earlier run, instead of training them again")
    parser.add_argument("--wall", action="store_true", help="the check on the wall clock instead")
    parser.add_argument("--simulated", type=Path, metavar="FILE", help="simulate its live runs anew, there")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()

    def say(line: str) -> None:
        print(line, flush=True)

    if options.simulated:
        held = json.loads(options.simulated.read_text())
        known = json.loads((options.curves or options.simulated).read_text())["curves"]
        known["fitted"] = fitted_all(known["accuracies"], say)
        again(held, known["fitted"], say)
        held["curves"] = known
        options.simulated.write_text(json.dumps(held) + "\n")
        return
    with tempfile.TemporaryDirectory(prefix="trainmaster-images-") as name:
        folder = prepare(Path(name))
        known = json.loads(options.curves.read_text())["curves"] if options.curves else curves(folder, say)
        if options.wall:
            checked = check(folder, known["fitted"], say)
            if options.out:
                options.out.write_text(json.dumps({"curves": known, "profiles": checked}) + "\n")
            return
        found = {"curves": known, "methods": {}}
        for method in options.methods:
            found["methods"][method] = compared(folder, method, options.seeds, known["fitted"], say)
            if options.out:
                options.out.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
