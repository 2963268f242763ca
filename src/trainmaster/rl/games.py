"""The two games: the paper's, and ours."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from trainmaster.domain.ids import TaskId
from trainmaster.policies.allotment import residual_ppo
from trainmaster.policies.allotment.residual_ppo import ResidualPpo, features_of
from trainmaster.policies.allotment.rlpto import FEATURES, OUTPUTS, Rlpto
from trainmaster.policies.base import AllotmentView
from trainmaster.policies.convergence import check_beta
from trainmaster.policies.learned import TaskNetwork
from trainmaster.rl.experiment import CYCLE_S, Run, run
from trainmaster.rl.ppo import CHOICE, NORMAL, Episode, Ppo, Settings
from trainmaster.rl.recording import Recording, Reward
from trainmaster.rl.training import Game, Played
from trainmaster.simulator.workload.images import SIXTEEN_NODES, TWELVE_NODES, Cluster, images, stop_at
from trainmaster.simulator.workload.priorities import POINTS

BETAS = (0.00005, 0.0001, 0.0002, 0.0003, 0.0005, 0.001)  # the paper's
JUDGED = tuple(range(2_000, 2_006))  # seeds of the tasks the judge uses: one of each β, half on each cluster


@dataclass(frozen=True, slots=True)
class RlptoGame:
    """RLPTO's agent with the paper's reward, an episode's β and cluster drawn by its seed.

    The judge's score is the mean reward with the agent's best actions: nothing but what the paper maximises.
    """

    settings: Settings = field(default_factory=Settings)
    clusters: tuple[Cluster, ...] = (TWELVE_NODES, SIXTEEN_NODES)
    betas: tuple[float, ...] = BETAS
    whole: bool = False  # T of equation 5 from the task's start
    cycle_s: float = CYCLE_S  # of T's unit
    iterations: int = 60
    episodes: int = 8
    replicas: int = 1

    def ppo(self, seed: int) -> Ppo:
        return Ppo(CHOICE, "rlpto", FEATURES, OUTPUTS, self.settings, seed)

    def play(self, network: TaskNetwork, seed: int, chance: np.random.Generator) -> Played:
        agent = self._run(network, seed, chance)
        return Played(agent.episode, agent.total, agent.total, agent.decisions, agent.invalid)

    def judge(self, network: TaskNetwork) -> float:
        return sum(self._run(network, seed, None).total for seed in JUDGED) / len(JUDGED)

    def _run(self, network: TaskNetwork, seed: int, chance: np.random.Generator | None) -> Recording:
        beta, cluster = self.betas[seed % len(self.betas)], self.clusters[seed // 6 % len(self.clusters)]
        policy = Rlpto(beta=beta, network=network)
        reward = Reward(policy.threshold, policy.window, self.cycle_s, self.whole)
        agent = Recording(policy, network, reward, self.settings.gamma, chance)
        run(agent, cluster, images(cluster, seed, stop_at(beta)), cluster.servers)
        return agent


@dataclass(frozen=True, slots=True)
class ResidualGame:
    """Our policy's network: less time, less waiting of what is worth much, and accuracy.

    Every second episode has random priorities of Table V, the others have equal ones, as Tables II and III.
    An episode earns `per_accuracy` · mean accuracy − makespan / `time_s` with equal priorities, and a quarter
    of that for the accuracy − (mean time to the end, weighted by the tasks' points) · 2 / `time_s` with
    others: who says what is urgent wants it soon. The judge plays the same seeds for all networks; the first
    decides as the rule that it corrects.
    """

    settings: Settings = field(
        # The divergence is summed over a dozen tasks and three outputs each, so its target is larger.
        default_factory=lambda: Settings(gamma=0.997, lam=0.95, entropy=0.0, deviation=0.3, kl_target=0.1)
    )
    clusters: tuple[Cluster, ...] = (TWELVE_NODES, SIXTEEN_NODES)
    betas: tuple[float, ...] = BETAS
    per_accuracy: float = 500.0
    time_s: float = 6000.0
    steady: float = 0.9  # how much of a task's noise is kept from one decision to the next
    first: int = JUDGED[0]  # seed of the judge, which plays
    judged: int = 24  # of them: every β on both clusters, with equal priorities and with others
    iterations: int = 5
    episodes: int = 24
    replicas: int = 6

    def ppo(self, seed: int) -> Ppo:
        return Ppo(NORMAL, "residual_ppo", residual_ppo.FEATURES, residual_ppo.OUTPUTS, self.settings, seed)

    def play(self, network: TaskNetwork, seed: int, chance: np.random.Generator) -> Played:
        policy = ResidualPpo(network, self._beta(seed))
        agent = _Drawing(policy, network, self.settings.deviation, self.steady, chance)
        score = self._run(agent, seed, agent.episode, agent.times)
        return Played(agent.episode, score, score, len(agent.times))

    def judge(self, network: TaskNetwork) -> float:
        seeds = range(self.first, self.first + self.judged)
        return sum(self._run(ResidualPpo(network, self._beta(s)), s) for s in seeds) / len(seeds)

    def _run(
        self, policy: Any, seed: int, episode: Episode | None = None, times: list[float] | None = None
    ) -> float:
        beta, cluster = self._beta(seed), self.clusters[seed // 6 % len(self.clusters)]
        levels = None
        if seed // 12 % 2:
            levels = [int(level) for level in np.random.default_rng(seed).integers(1, 6, 12)]
        arrivals = images(cluster, seed, stop_at(beta), priorities=levels)
        points = {
            a.spec.name: float(POINTS[levels[int(a.spec.name.rpartition("-")[2]) - 1]]) if levels else 1.0
            for a in arrivals
        }
        found = run(policy, cluster, arrivals, None, "multi_queue", "none")
        return self._pay(found, points, levels is not None, episode, times)

    def _beta(self, seed: int) -> float:
        return self.betas[seed % len(self.betas)]

    def _pay(
        self,
        found: Run,
        points: Mapping[str, float],
        hurried: bool,
        episode: Episode | None,
        times: list[float] | None,
    ) -> float:
        """The score; and, step by step, the same as rewards: what passes is charged to the last decision."""
        whole = sum(points.values())
        accuracy = self.per_accuracy * (0.25 if hurried else 1.0)
        waiting, lasting = (2 / self.time_s, 0.0) if hurried else (0.0, 1 / self.time_s)
        score = accuracy * (found.accuracy - 0.88) - lasting * found.makespan
        score -= waiting * sum(points[e.name] * e.time for e in found.ends) / whole
        if episode is None or not times:
            return score
        ends = sorted((end.time, points[end.name] / whole, end.accuracy) for end in found.ends)
        for at, begun in enumerate(times):
            until = times[at + 1] if at + 1 < len(times) else found.makespan
            left = sum(share * (min(time, until) - begun) for time, share, _ in ends if time > begun)
            busy = max(min(found.makespan, until) - begun, 0.0)
            episode.rewards[at] = -lasting * busy - waiting * left
            episode.discounts[at] = self.settings.gamma ** ((until - begun) / CYCLE_S)
        for time, _, reached in ends:
            at = max(bisect_right(times, time - 1e-6) - 1, 0)
            episode.rewards[at] += accuracy * (reached - 0.88) / len(ends)
        return score


class _Drawing:
    """`ResidualPpo` with outputs drawn around the network's. For one episode.

    The noise of a task changes slowly (autoregressive, of the same variance at every decision): noise that
    differs from decision to decision only resizes to and fro, and cancels out before it shows an effect.
    """

    name = "residual_ppo"
    suspends = False

    def __init__(
        self,
        policy: ResidualPpo,
        network: TaskNetwork,
        deviation: float,
        steady: float,
        chance: np.random.Generator,
    ) -> None:
        self.episode = Episode()
        self.times: list[float] = []
        self._policy, self._network, self._chance = policy, network, chance
        self._deviation, self._steady = deviation, steady
        self._noise: dict[TaskId, np.ndarray] = {}

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        if not view.claims:
            return {}
        state = features_of(view, self._policy.beta)
        mean = self._network(state)[0]
        noise = np.array([self._drawn(claim.task.id, mean.shape[1]) for claim in view.claims])
        action = mean + self._deviation * noise
        episode = self.episode
        episode.states.append(state)
        episode.masks.append(None)
        episode.actions.append(action)
        log_sd = np.log(self._deviation)
        episode.logps.append(float((-(noise**2) / 2 - log_sd - np.log(2 * np.pi) / 2).sum()))
        episode.rewards.append(0.0)
        episode.discounts.append(1.0)
        self.times.append(view.now)
        return self._policy.corrected(view, action)

    def _drawn(self, task: TaskId, outputs: int) -> np.ndarray:
        fresh = self._chance.normal(size=outputs)
        before = self._noise.get(task)
        if before is not None:
            fresh = self._steady * before + (1 - self._steady**2) ** 0.5 * fresh
        self._noise[task] = fresh
        return fresh


GAMES: dict[str, RlptoGame | ResidualGame] = {"rlpto": RlptoGame(), "residual_ppo": ResidualGame()}


def game(policy: str, variant: str, beta: float | None = None) -> Game:
    """The game of a policy as it is shipped, with this variant of PPO and, if given, only this β."""
    found = GAMES[policy]
    if beta is not None:
        check_beta(beta)
        found = replace(found, betas=(beta,))
    return replace(found, settings=replace(found.settings, variant=variant))
