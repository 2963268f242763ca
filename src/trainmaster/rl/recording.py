"""Agents that draw their actions and write down what they saw, did and got."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trainmaster.domain.ids import TaskId
from trainmaster.policies.allotment.rlpto import Rlpto, logits
from trainmaster.policies.base import AllotmentView
from trainmaster.policies.convergence import accuracies, gain_per_epoch
from trainmaster.policies.learned import TaskNetwork
from trainmaster.rl.ppo import Episode

KW = 0.000625  # power of a node in a computing cycle (equation 5)


@dataclass(frozen=True, slots=True)
class Reward:
    """The paper's equation 5: va + sign(va − β₀) · T · w · kw, once for each epoch a task has reported.

    va: its increase of accuracy per epoch. T has no unit in the paper; in seconds it would swamp the
    accuracy. Here it counts scheduling cycles of `cycle_s`: those since the task's last such report, so that
    energy is paid for once, or with `whole` those since it started. w: its workers meanwhile.
    """

    beta: float
    window: int
    cycle_s: float
    whole: bool = False
    kw: float = KW

    def of(self, va: float, cycles: float, workers: int) -> float:
        sign = float(np.sign(va - self.beta))
        return va + sign * cycles * workers * self.kw


class Recording:
    """RLPTO's cycle with drawn actions, or the best ones without `chance`. Stateful, for one episode: never a
    policy of a service.

    `wished`: how many decisions there were, and in how many of them the unmasked network would have chosen
    what is not allowed.
    """

    name = "rlpto"
    suspends = False

    def __init__(
        self,
        policy: Rlpto,
        network: TaskNetwork,
        reward: Reward,
        gamma: float,
        chance: np.random.Generator | None,
    ) -> None:
        self.episode = Episode()
        self.decisions = self.invalid = 0
        self.total = 0.0  # of all rewards, undiscounted
        self._policy, self._network, self._reward = policy, network, reward
        self._gamma, self._chance = gamma, chance
        self._then: float | None = None
        self._epochs: dict[TaskId, tuple[int, float]] = {}  # reports seen of a task, and when

    def allot(self, view: AllotmentView) -> Mapping[TaskId, int]:
        self._account(view)
        return self._policy.cycle(view, self._act)

    def _act(self, state: np.ndarray, mask: np.ndarray) -> int:
        scores = logits(self._network, state)
        self.decisions += 1
        self.invalid += not mask[scores.argmax()]
        scores = np.where(mask, scores, -np.inf)
        chances = np.exp(scores - scores.max())
        chances /= chances.sum()
        best = int(scores.argmax())
        action = best if self._chance is None else int(self._chance.choice(len(chances), p=chances))
        episode = self.episode
        episode.states.append(state)
        episode.masks.append(mask)
        episode.actions.append(action)
        episode.logps.append(float(np.log(chances[action])))
        episode.rewards.append(0.0)
        episode.discounts.append(1.0)
        return action

    def _account(self, view: AllotmentView) -> None:
        """What was earned since the last cycle goes to the last decision."""
        reward = self._reward
        cycles = 0.0 if self._then is None else (view.now - self._then) / reward.cycle_s
        self._then = view.now
        earned = 0.0
        for claim in view.claims:
            if not claim.workers:
                continue
            values = accuracies(claim.learned)
            seen, since = self._epochs.get(claim.task.id, (0, claim.task.started_at or view.now))
            if len(values) > seen:
                self._epochs[claim.task.id] = (len(values), view.now)
                va = gain_per_epoch(values, reward.window)
                if va is not None:
                    begun = (claim.task.first_started_at or view.now) if reward.whole else since
                    earned += reward.of(va, (view.now - begun) / reward.cycle_s, claim.workers)
        self.total += earned
        episode = self.episode
        if episode.rewards:
            episode.rewards[-1] += episode.discounts[-1] * earned
            episode.discounts[-1] *= self._gamma**cycles
