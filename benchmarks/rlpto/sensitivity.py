"""What RLPTO's place in the priority experiment (Table V, Figure 11) depends on.

1. TRADL's first target, which the paper does not give: from one that every task soon reaches to one that
   hardly any does; with each, the time and accuracy of Table II beside the average rewards.
2. RLPTO's own open points: `lead` (when it gives workers up), with the shipped agent; and the T of
   equation 5, for which an agent is trained anew each time: counted since the task's last report (as shipped)
   or since its start, in cycles or in tenths or tens of them.
Usage: python -m benchmarks.rlpto.sensitivity [--parts tradl lead unit] [--seeds 10]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.rlpto.__main__ import GENERAL_BETA, RESULTS, say, write
from benchmarks.rlpto.methods import RLPTO, Method
from benchmarks.rlpto.runs import averages, mean, table
from trainmaster.policies.allotment.rlpto import Rlpto
from trainmaster.policies.base import Allotment
from trainmaster.rl.experiment import CYCLE_S
from trainmaster.rl.games import RlptoGame
from trainmaster.rl.training import Plan, train
from trainmaster.simulator.workload.images import TWELVE_NODES
from trainmaster.simulator.workload.priorities import COMBINATIONS

TARGETS = (0.866, 0.868, 0.87, 0.8715, 0.8735, 0.875, 0.876, 0.877, 0.8775, 0.878, 0.879)
LEADS = (2.0, 4.0, 8.0, 16.0)
UNITS = {
    "since the last report, in cycles": (False, 1.0),
    "since the last report, in tenths of a cycle": (False, 0.1),
    "since the last report, in tens of cycles": (False, 10.0),
    "since the task's start, in cycles": (True, 1.0),
}
ITERATIONS = 20  # of training for each unit


def rewarded(method: Method, policy: Allotment, seeds: Sequence[int]) -> list[float]:
    """The average reward in each combination."""
    return [
        averages([method.run_with(policy, TWELVE_NODES, seed, levels) for seed in seeds], levels)
        for levels in COMBINATIONS
    ]


def of_target(target: float, seeds: Sequence[int]) -> dict[str, Any]:
    method = Method("TRADL", target=target)
    accuracy, seconds = mean(table(method, TWELVE_NODES, seeds, say))
    rewards = rewarded(method, method.allotment(), seeds)
    return {"accuracy": round(accuracy, 6), "time_s": round(seconds, 1), "rewards": rewards}


def of_rlpto(policy: Allotment, seeds: Sequence[int]) -> dict[str, Any]:
    """Time and accuracy are those of Table II with the same β."""
    runs = [Method(RLPTO, GENERAL_BETA).run_with(policy, TWELVE_NODES, seed) for seed in seeds]
    return {
        "accuracy": round(sum(run.accuracy for run in runs) / len(runs), 6),
        "time_s": round(sum(run.makespan for run in runs) / len(runs), 1),
        "rewards": rewarded(Method(RLPTO, GENERAL_BETA, queues=True), policy, seeds),
    }


def of_unit(whole: bool, cycles: float, seeds: Sequence[int]) -> dict[str, Any]:
    game = replace(RlptoGame(), whole=whole, cycle_s=cycles * CYCLE_S)
    network = train(game, Plan(ITERATIONS, game.episodes)).network
    return of_rlpto(Rlpto(beta=GENERAL_BETA, network=network), seeds)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parts", nargs="+", default=["tradl", "lead", "unit"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=RESULTS / "rlpto-sensitivity.json")
    options = parser.parse_args()
    seeds = range(options.seeds)
    found: dict[str, Any] = json.loads(options.out.read_text()) if options.out.is_file() else {}
    found["seeds"] = options.seeds
    if "tradl" in options.parts:
        found["tradl"] = {}
        for target in TARGETS:
            found["tradl"][f"{target:g}"] = of_target(target, seeds)
            write(found, options.out)
    if "lead" in options.parts:
        found["lead"] = {}
        for lead in LEADS:
            found["lead"][f"{lead:g}"] = of_rlpto(Rlpto(beta=GENERAL_BETA, lead=lead), seeds)
            say(f"lead {lead:g}: {found['lead'][f'{lead:g}']}")
            write(found, options.out)
    if "unit" in options.parts:
        found["unit"] = {}
        for words, (whole, cycles) in UNITS.items():
            found["unit"][words] = of_unit(whole, cycles, seeds)
            say(f"{words}: {found['unit'][words]}")
            write(found, options.out)


if __name__ == "__main__":
    main()
