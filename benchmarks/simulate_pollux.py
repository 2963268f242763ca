"""Pollux's workloads under our policies, beside the times its authors published.

Tiresias and Optimus reproduce what the artifact's simulator gives (the anchor: within 2 % on workload 6);
`marginal_goodput` has application profiles but no lengths, as bars say; `+ lengths` knows them, too.
`rounds`: allotment alone in rounds of 60 s; `step`: the same through `scheduler.step`.
Usage: python -m benchmarks.simulate_pollux [--workloads 1 2 3 4 5 6] [--engine rounds|step]
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace

from benchmarks.traces import traces
from trainmaster.domain.cluster import Node
from trainmaster.domain.ids import NodeId
from trainmaster.domain.task import Elasticity
from trainmaster.domain.units import Resources
from trainmaster.policies.allotment.marginal_goodput import MarginalGoodput
from trainmaster.policies.allotment.optimus import Optimus
from trainmaster.policies.allotment.pollux import Pollux
from trainmaster.policies.allotment.tiresias import Tiresias
from trainmaster.policies.base import Allotment
from trainmaster.policies.registry import Profile, build
from trainmaster.scheduler.state import Limits
from trainmaster.simulator import rounds
from trainmaster.simulator.informed import Informed
from trainmaster.simulator.loop import Arrival, Scenario, Simulation
from trainmaster.simulator.profiled import GOODPUT, STEPS
from trainmaster.simulator.profiles import Applications
from trainmaster.simulator.workload import pollux
from trainmaster.simulator.world import Costs


def entries() -> dict[str, tuple[Allotment, dict[str, object], str]]:
    return {
        "tiresias": (Tiresias(), {"mode": pollux.RIGID, "tells": STEPS}, "tiresias"),
        "optimus": (Optimus(), {"mode": pollux.BATCH, "tells": STEPS, "remaining": True}, "optimus"),
        "pollux": (Pollux(), {"tells": GOODPUT}, "pollux"),
        "marginal_goodput": (MarginalGoodput(), {"tells": GOODPUT}, "pollux"),
        "marginal_goodput + lengths": (
            MarginalGoodput(oracle=True), {"tells": GOODPUT, "remaining": True}, "pollux",
        ),
    }  # fmt: skip


def through_step(policy: Allotment, arrivals: list[Arrival]) -> float:
    """Mean JCT with the whole scheduler: a resize ends the attempt and begins another."""
    nodes = [Node(NodeId(f"n{i:02d}"), Resources(gpus=4)) for i in range(16)]
    policies = build(Profile("pollux", "las", "fixed", "consolidate", "none"))
    simulation = Simulation(
        Scenario(
            nodes, policies, [replace(a, spec=replace(a.spec, elasticity=Elasticity.RESTART)) for a in
            arrivals],
            Costs(start_s=30, restart_s=30), round_s=60, limits=Limits(restart_cooldown_s=0),
        )
    )  # fmt: skip
    simulation.state.policies = replace(policies, allotment=Informed(policy, simulation.world.training))
    return simulation.run().jct.mean


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--workloads", type=int, nargs="+", default=[1, 2, 3, 4, 5, 6])
    parser.add_argument("--engine", choices=("rounds", "step"), default="rounds")
    parser.add_argument("--policies", nargs="+", default=list(entries()), choices=list(entries()))
    options = parser.parse_args()
    applications = Applications(traces() / "pollux/traces")
    for number in options.workloads:  # read the curves: that is not simulation
        list(pollux.pollux(traces() / f"pollux/workloads/workload-{number}.csv", applications))
    found = []
    for name in options.policies:
        policy, how, peer = entries()[name]
        published = json.loads((traces() / f"pollux/published/{peer}-1.0.json").read_text())["jcts"]
        for number in options.workloads:
            path = traces() / f"pollux/workloads/workload-{number}.csv"
            arrivals = list(pollux.pollux(path, applications, **how))  # type: ignore[arg-type]
            began = time.perf_counter()
            if options.engine == "step":
                mean = through_step(policy, arrivals)
            else:
                settings = rounds.Rounds(smallest_first=name != "tiresias")
                mean = rounds.run(policy, arrivals, settings).mean_jct
            wall = time.perf_counter() - began
            times = published[f"workload-{number}"].values()
            target = sum(times) / len(times)
            found.append(
                {
                    "policy": name, "workload": number, "mean_jct_s": round(mean, 1), "published": peer,
                    "published_s": round(target, 1), "ratio": round(mean / target, 4), "wall_s": round(wall,
                    2),
                }
            )  # fmt: skip
            print(json.dumps(found[-1]), flush=True)


if __name__ == "__main__":
    main()
