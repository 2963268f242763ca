"""How much a network could add to the rule of `residual_ppo`, before any is trained.

Random networks of the shipped form, whose corrections are about ± `size` in logarithm, are judged by the
score that training maximises, over tasks of their own (as many as the judge's); the best is judged again over
fresh ones, so that what is luck falls away. If none of them is better than the rule without a network, there
is little to be learnt. Usage: python -m benchmarks.rlpto.headroom [--networks 24] [--size 0.3]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.rlpto.__main__ import RESULTS, say
from trainmaster.policies.learned import TaskNetwork
from trainmaster.rl.games import JUDGED, ResidualGame
from trainmaster.rl.ppo import Ppo


def drawn(ppo: Ppo, seed: int, size: float) -> TaskNetwork:
    """The untrained network with a last layer (and its bias) that corrects by about `size`."""
    network, chance = ppo.network(), np.random.default_rng(seed)
    first, second, (weight, bias), fourth = network.layers
    scale = size / 2**0.5
    last = (
        chance.normal(0.0, scale / weight.shape[1] ** 0.5, weight.shape) * 2.0,
        chance.normal(0.0, scale, bias.shape),
    )
    return replace(network, layers=(first, second, last, fourth))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--networks", type=int, default=24)
    parser.add_argument("--size", type=float, default=0.3)
    parser.add_argument("--out", type=Path, default=RESULTS / "rlpto-headroom.json")
    options = parser.parse_args()
    game = ResidualGame()
    tasks, fresh = (replace(game, first=JUDGED[0] + 1000 * k) for k in (1, 2))
    rule = drawn(game.ppo(0), 0, 0.0)
    found = {"rule": [tasks.judge(rule), fresh.judge(rule)], "networks": []}
    say(f"the rule: {found['rule']}")
    networks = [drawn(game.ppo(k), k, options.size) for k in range(options.networks)]
    for number, network in enumerate(networks):
        found["networks"].append(tasks.judge(network))
        say(f"network {number}: {found['networks'][-1]:.4f}")
        options.out.write_text(json.dumps(found) + "\n", encoding="utf-8")
    best = networks[int(np.argmax(found["networks"]))]
    found["best"] = [max(found["networks"]), fresh.judge(best)]
    say(f"the best: {found['best']}")
    options.out.write_text(json.dumps(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
