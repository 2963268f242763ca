"""82,248 Philly jobs, rigid, in virtual time: wall and CPU seconds, steps, peak memory.

Usage: python -m benchmarks.simulate_philly [--ordering backfill] [--nodes 312] [--profile]
Needs the traces (TRAINMASTER_TEST_DATA names the data folder).
"""

from __future__ import annotations

import argparse
import cProfile
import itertools
import json
import pstats
import resource
import time

from benchmarks.traces import traces
from trainmaster.domain.cluster import Node
from trainmaster.domain.ids import NodeId
from trainmaster.domain.units import Resources
from trainmaster.policies.registry import Profile, build
from trainmaster.simulator.loop import Scenario, Simulation
from trainmaster.simulator.workload.philly import philly


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ordering", default="backfill")
    parser.add_argument("--placement", default="binpack")
    parser.add_argument("--nodes", type=int, default=312, help="of 8 GPUs; the log's cluster had about 2,490")
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    nodes = [Node(NodeId(f"n{i:04d}"), Resources(gpus=8)) for i in range(options.nodes)]
    policies = build(Profile("philly", options.ordering, "fixed", options.placement, "none"))
    arrivals = itertools.islice(philly(traces() / "pollux/traces/philly.csv"), options.jobs)
    simulation = Simulation(Scenario(nodes, policies, arrivals))
    profiler = cProfile.Profile()
    began, cpu = time.perf_counter(), time.process_time()
    if options.profile:
        profiler.enable()
    report = simulation.run()
    wall = time.perf_counter() - began
    print(
        json.dumps(
            {
                "benchmark": "simulate_philly",
                "limit_s": 60,
                "wall_s": round(wall, 2),
                "cpu_s": round(time.process_time() - cpu, 2),
                "steps": simulation.steps,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
                "report": report.to_dict(),
            }
        )
    )
    if options.profile:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(25)


if __name__ == "__main__":
    main()
