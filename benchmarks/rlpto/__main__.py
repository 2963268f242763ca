"""The RLPTO paper's experiments in the simulator: Tables II to V, Figures 7 to 11, and our policies beside.

Everything runs through `scheduler.step`, over the same seeded tasks for all methods, each baseline also with
RLPTO's stop(β). Parts, and with `--methods` policies, can be run one by one; each replaces its numbers in the
file, from which `--pages` writes tables and plots. With `--slowness` that is what training in parts costs,
instead of the offset, and nothing else changes; 0.76 is the mean of what docs/results/rlpto-live.md fits.
Usage: python -m benchmarks.rlpto [--parts 2 3 5 9] [--methods residual_ppo ...] [--seeds 20] [--pages]
       python -m benchmarks.rlpto --slowness 0.76 --parts 2 3 5 --seeds 5 --pages
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.rlpto import runs
from benchmarks.rlpto.methods import BASELINES, OURS, RLPTO, TABLE, Method, of_rewards, within
from benchmarks.rlpto.pages import write_pages, write_slowness
from benchmarks.traces import ROOT
from trainmaster.policies.allotment.fair import Fair
from trainmaster.rl.experiment import run
from trainmaster.simulator.workload.images import (
    PAPER,
    SIXTEEN_NODES,
    TWELVE_NODES,
    Cluster,
    World,
    images,
    stop_at,
)
from trainmaster.simulator.workload.priorities import COMBINATIONS

RESULTS = ROOT / "docs" / "results"
GENERAL_BETA = 0.0003  # of the paper's priority experiment


def say(line: str) -> None:
    print(line, flush=True)


def write(found: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(found) + "\n", encoding="utf-8")


def renewed(
    old: dict[str, Any], methods: Sequence[Method], chosen: Sequence[str], play: Callable[[Method], Any]
) -> dict[str, Any]:
    """By method, in this order: what `play` finds for the chosen policies, what is known of the others."""
    found = {}
    for method in methods:
        if method.policy in chosen:
            found[method.name] = play(method)
        elif method.name in old:
            found[method.name] = old[method.name]
    return found


def single(nodes: int, seeds: range, world: World) -> dict[str, float]:
    """Figure 9: one medium task alone on so many nodes, with stop(β = 0.0003)."""
    cluster = Cluster(nodes, 1)
    found = [
        run(Fair(), cluster, images(cluster, s, stop_at(GENERAL_BETA), world, ("medium",))) for s in seeds
    ]
    return {
        "accuracy": round(sum(r.accuracy for r in found) / len(found), 6),
        "time_s": round(sum(r.makespan for r in found) / len(found), 1),
    }


def main() -> None:
    policies = (RLPTO, *BASELINES, *OURS)
    parser = argparse.ArgumentParser()
    parser.add_argument("--parts", nargs="*", default=["2", "3", "5", "9"], choices=["2", "3", "5", "9"])
    parser.add_argument("--methods", nargs="+", default=policies, choices=policies)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--slowness", type=float, help="of training in parts, instead of an offset")
    parser.add_argument(
        "--pages", action="store_true", help="write docs/results/rlpto-tables.md and the plots"
    )
    parser.add_argument("--out", type=Path, help="default: docs/results/rlpto.json or rlpto-slowness.json")
    options = parser.parse_args()
    slow = options.slowness is not None
    world = replace(PAPER, shard=0.0, slowness=options.slowness) if slow else PAPER
    out: Path = options.out or RESULTS / ("rlpto-slowness.json" if slow else "rlpto.json")
    seeds = range(options.seeds)
    found: dict[str, Any] = json.loads(out.read_text()) if out.is_file() else {}
    for part, cluster in (("2", TWELVE_NODES), ("3", SIXTEEN_NODES)):
        if part in options.parts:
            play = partial(runs.table, cluster=cluster, seeds=seeds, say=say)
            found[part] = renewed(found.get(part, {}), within(world, TABLE), options.methods, play)
            write(found, out)
    if "5" in options.parts:
        rewards = found.setdefault("5", {})
        for number, levels in enumerate(COMBINATIONS, 1):
            say(f"combination {number}")
            play = partial(runs.rewards, cluster=TWELVE_NODES, seeds=seeds, levels=levels, say=say)
            methods = within(world, of_rewards(GENERAL_BETA))
            rewards[str(number)] = renewed(rewards.get(str(number), {}), methods, options.methods, play)
            write(found, out)
    if "9" in options.parts:
        found["9"] = {str(nodes): single(nodes, seeds, world) for nodes in range(1, 13)}
        write(found, out)
    if options.pages and slow:
        write_slowness(found, RESULTS)
    elif options.pages:
        write_pages(found, RESULTS)


if __name__ == "__main__":
    main()
