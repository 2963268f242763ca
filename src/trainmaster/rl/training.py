"""Training a policy: episodes of the twelve tasks, an update, and the best network so far is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from trainmaster.policies.learned import TaskNetwork
from trainmaster.rl.errors import BadTraining
from trainmaster.rl.ppo import Episode, Ppo


@dataclass(frozen=True, slots=True)
class Played:
    """One episode with what it came to: `score` is what training is for, larger is better."""

    episode: Episode
    reward: float
    score: float
    decisions: int = 0
    invalid: int = 0


class Game(Protocol):
    """What a policy is trained on."""

    def ppo(self, seed: int) -> Ppo:
        """The untrained networks."""
        ...

    def play(self, network: TaskNetwork, seed: int, chance: np.random.Generator) -> Played:
        """An episode with drawn actions; `seed` fixes its tasks."""
        ...

    def judge(self, network: TaskNetwork) -> float:
        """The score without chance, over tasks that training never sees. Larger is better."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """After an iteration. `score`: the judge's latest; `best`: the one of the network that is kept."""

    iteration: int
    iterations: int
    reward: float
    score: float
    best: float
    kl: float
    entropy: float
    invalid: float  # share of decisions in which the unmasked network would have done what is not allowed


@dataclass(frozen=True, slots=True)
class Plan:
    """`episodes` in each of `iterations`; judged before the first and after every `judge_every`-th.

    With `replicas` so many episodes have the same tasks, and what they earn on average is taken off evenly:
    what differs from tasks to tasks then drowns nothing of what differs from action to action.
    """

    iterations: int = 40
    episodes: int = 8
    judge_every: int = 5
    replicas: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("iterations", "episodes", "judge_every", "replicas"):
            if getattr(self, name) < 1:
                raise BadTraining(name, getattr(self, name), "1 or more")
        if self.episodes % self.replicas:
            raise BadTraining("episodes", self.episodes, f"a multiple of the {self.replicas} replicas")
        if self.seed < 0:
            raise BadTraining("seed", self.seed, "0 or more")


@dataclass(slots=True)
class Trained:
    """The best network by the judge, and the course of the training."""

    network: TaskNetwork
    first: float
    best: float
    course: list[Progress] = field(default_factory=list)


def train(
    game: Game,
    plan: Plan,
    show: Callable[[Progress], None] = lambda _: None,
    about: dict[str, Any] | None = None,
) -> Trained:
    """Deterministic for a plan. Training's tasks have seeds of 1,000,000 and more, so that no table's seeds
    are among them. A tie keeps the earlier network."""
    ppo = game.ppo(plan.seed)
    chance = np.random.default_rng(plan.seed)
    kept = ppo.network(about)
    first = best = score = game.judge(kept)
    course: list[Progress] = []
    for iteration in range(1, plan.iterations + 1):
        network = ppo.network(about)
        seeds = np.repeat(chance.integers(1_000_000, 2**31, plan.episodes // plan.replicas), plan.replicas)
        played = [game.play(network, int(seed), chance) for seed in seeds]
        _compare(played, plan.replicas)
        told = ppo.update([p.episode for p in played])
        if iteration % plan.judge_every == 0 or iteration == plan.iterations:
            network = ppo.network(about)
            score = game.judge(network)
            if score > best:
                kept, best = network, score
        decisions = sum(p.decisions for p in played)
        progress = Progress(
            iteration, plan.iterations, sum(p.reward for p in played) / len(played), score, best, told["kl"],
            told["entropy"], sum(p.invalid for p in played) / max(decisions, 1),
        )  # fmt: skip
        course.append(progress)
        show(progress)
    return Trained(kept, first, best, course)


def _compare(played: list[Played], replicas: int) -> None:
    """Take off what the replicas of the same tasks earn on average."""
    if replicas == 1:
        return
    for at in range(0, len(played), replicas):
        group = [p.episode.rewards for p in played[at : at + replicas]]
        usual = sum(map(sum, group)) / replicas
        for rewards in group:
            rewards[:] = [reward - usual / len(rewards) for reward in rewards]
