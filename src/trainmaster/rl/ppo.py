"""Proximal policy optimisation (Schulman et al. 2017; the RLPTO paper, equations 8 to 17), whole in one file.

Both variants: the adaptive KL penalty, which the RLPTO paper takes, and the clipped surrogate. Episodes come
in as what was seen and done (`Episode`); `Ppo.update` improves a network over tasks (`torch` twin of
`policies.learned.TaskNetwork`). One seed, one thread: the same result, bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trainmaster.policies.learned import TaskNetwork
from trainmaster.rl.errors import BadTraining

KL, CLIP = "kl", "clip"
CHOICE, NORMAL = "choice", "normal"
_IMPOSSIBLE = -1e9


@dataclass(frozen=True, slots=True)
class Settings:
    """`gamma` as the RLPTO paper; the others are of Schulman et al. (GAE λ, clip ε, KL target) or usual.

    `kl_target` and `kl_start` steer the adaptive penalty: β_kl halves when KL < target / 1.5 and doubles when
    it is > 1.5 · target. `deviation`: standard deviation of a normal policy's outputs.
    """

    variant: str = KL
    gamma: float = 0.99
    lam: float = 0.95
    rate: float = 2e-3
    passes: int = 6
    minibatch: int = 512
    clip: float = 0.2
    kl_target: float = 0.01
    kl_start: float = 1.0
    entropy: float = 0.005
    value_weight: float = 0.5
    norm: float = 0.5
    hidden: int = 32
    deviation: float = 0.3

    def __post_init__(self) -> None:
        if self.variant not in (KL, CLIP):
            raise BadTraining("variant", self.variant, f"{KL} or {CLIP}")
        for name in ("rate", "kl_target", "kl_start", "clip", "deviation"):
            if not 0 < getattr(self, name) < math.inf:
                raise BadTraining(name, getattr(self, name), "a positive number")
        for name in ("gamma", "lam"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadTraining(name, getattr(self, name), "between 0 and 1")
        for name in ("passes", "minibatch", "hidden"):
            if getattr(self, name) < 1:
                raise BadTraining(name, getattr(self, name), "1 or more")


@dataclass(slots=True)
class Episode:
    """One episode: per decision the state (tasks, F), what was allowed (None for a normal policy), the action
    (an index, or an array with a row per task), its log-probability, the reward until the next decision and
    the discount to it (γ per scheduling cycle that lies between; 1 within a cycle)."""

    states: list[np.ndarray] = field(default_factory=list)
    masks: list[np.ndarray | None] = field(default_factory=list)
    actions: list[Any] = field(default_factory=list)
    logps: list[float] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    discounts: list[float] = field(default_factory=list)


# --- the closed forms --------------------------------------------------------------------------------------


def advantages(
    rewards: Sequence[float], values: Sequence[float], discounts: Sequence[float], lam: float
) -> tuple[np.ndarray, np.ndarray]:
    """(advantages, returns) of a finished episode by generalised advantage estimation.

    δ_t = r_t + g_t · V(s_t+1) − V(s_t) (equation 11) with g_t = discounts[t] and V = 0 after the end;
    A_t = δ_t + g_t · λ · A_t+1; the return is A_t + V(s_t). λ = 0 is the paper's TD error (equation 12),
    λ = 1 the discounted return (equation 7) less V.
    """
    count = len(rewards)
    found = np.zeros(count)
    ahead = following = 0.0
    for t in range(count - 1, -1, -1):
        delta = rewards[t] + discounts[t] * following - values[t]
        ahead = delta + discounts[t] * lam * ahead
        found[t], following = ahead, values[t]
    return found, found + np.asarray(values, dtype=float)


def clipped(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """min(ρ·A, clamp(ρ, 1 − ε, 1 + ε)·A), to be maximised."""
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)


def penalised(ratio: Tensor, advantage: Tensor, kl: Tensor, weight: float) -> Tensor:
    """ρ·A − β_kl · KL (equations 15 and 17), to be maximised."""
    return ratio * advantage - weight * kl


def adapted(weight: float, kl: float, target: float) -> float:
    """β_kl for the next update (Schulman et al., section 4), kept within 1e-4..1e4."""
    if kl > 1.5 * target:
        weight *= 2
    elif kl < target / 1.5:
        weight /= 2
    return min(max(weight, 1e-4), 1e4)


def categorical_kl(old: Tensor, new: Tensor) -> Tensor:
    """Σ p·log(p/q) over the last axis (equation 16) of two sets of log-probabilities."""
    return (old.exp() * (old - new)).sum(-1)


def normal_kl(old: Tensor, new: Tensor, deviation: float) -> Tensor:
    """KL of normal distributions with these means and one standard deviation, elementwise."""
    return ((old - new) / deviation) ** 2 / 2


# --- the networks ------------------------------------------------------------------------------------------


class Trunk(nn.Module):
    """As `TaskNetwork`, for batches (episodes' steps, tasks, F) with absent tasks."""

    def __init__(self, features: int, hidden: int, outputs: int, last: float) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2 * features, hidden), nn.Linear(hidden, hidden)
        self.third, self.fourth = nn.Linear(hidden, outputs), nn.Linear(hidden, 1)
        for layer, gain in ((self.first, 1.0), (self.second, 1.0), (self.third, last), (self.fourth, last)):
            nn.init.orthogonal_(layer.weight, gain)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, K, F), present (B, K) of 0 and 1: each (B, K, outputs), all (B, 1)."""
        share = (present / present.sum(1, keepdim=True)).unsqueeze(-1)
        mean = (x * share).sum(1, keepdim=True).expand_as(x)
        h = torch.tanh(self.first(torch.cat([x, mean], -1)))
        h = torch.tanh(self.second(h))
        return self.third(h), self.fourth((h * share).sum(1))


class Ppo:
    """Actor and critic with their optimiser. `kind`: CHOICE (masked categorical over nothing, +1 and −1 per
    task) or NORMAL (independent normal outputs per task)."""

    def __init__(
        self, kind: str, policy: str, features: Sequence[str], outputs: int, settings: Settings, seed: int
    ) -> None:
        torch.set_num_threads(1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.actor = Trunk(len(features), settings.hidden, outputs, 0.01).double()
            self.critic = Trunk(len(features), settings.hidden, 1, 1.0).double()
        self.kind, self.policy, self.features, self.settings = kind, policy, tuple(features), settings
        self.kl_weight = settings.kl_start
        self._chance = torch.Generator().manual_seed(seed)
        trained = [*self.actor.parameters(), *self.critic.parameters()]
        self._optimiser = torch.optim.Adam(trained, lr=settings.rate)
        self._trained = trained

    def network(self, about: Mapping[str, Any] | None = None) -> TaskNetwork:
        """What decisions are made with, in NumPy."""
        actor = self.actor
        layers = tuple(
            (layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy())
            for layer in (actor.first, actor.second, actor.third, actor.fourth)
        )
        return TaskNetwork(self.policy, self.features, layers, dict(about or {}))

    def update(self, episodes: Sequence[Episode]) -> dict[str, float]:
        """One iteration of the PPO algorithm over these episodes. Returns what to show: KL, loss, entropy."""
        s = self.settings
        batch = _batch([e for e in episodes if e.states], self.kind)
        with torch.no_grad():
            values = self.critic(batch.x, batch.present)[1].squeeze(-1).numpy()
            old = self._distribution(batch)
        found, returns, at = [], [], 0
        for episode in episodes:
            count = len(episode.rewards)
            if count:
                a, r = advantages(episode.rewards, values[at : at + count], episode.discounts, s.lam)
                found.append(a)
                returns.append(r)
                at += count
        gains, targets = torch.from_numpy(np.concatenate(found)), torch.from_numpy(np.concatenate(returns))
        gains = (gains - gains.mean()) / (gains.std(unbiased=False) + 1e-8)
        scale = (
            float(targets.std(unbiased=False)) + 1e-8
        )  # the critic's loss should not depend on the reward's unit
        shown: dict[str, float] = {}
        for _ in range(s.passes):
            order = torch.randperm(len(gains), generator=self._chance)
            for part in order.split(s.minibatch):
                shown = self._descend(batch.rows(part), gains[part], targets[part], scale, old[part])
        with torch.no_grad():
            kl = float(self._kl(self._distribution(batch), batch, old).mean())
        if s.variant == KL:
            self.kl_weight = adapted(self.kl_weight, kl, s.kl_target)
        return {**shown, "kl": kl, "kl_weight": self.kl_weight}

    def _descend(
        self, batch: _Batch, gains: Tensor, targets: Tensor, scale: float, old: Tensor
    ) -> dict[str, float]:
        s = self.settings
        new = self._distribution(batch)
        logp, entropy = self._logp(new, batch)
        ratio = (logp - batch.logp).exp()
        kl = self._kl(new, batch, old)
        if s.variant == CLIP:
            objective = clipped(ratio, gains, s.clip)
        else:
            objective = penalised(ratio, gains, kl, self.kl_weight)
        value = self.critic(batch.x, batch.present)[1].squeeze(-1)
        value_loss = (((value - targets) / scale) ** 2).mean()
        loss = -objective.mean() + s.value_weight * value_loss - s.entropy * entropy.mean()
        self._optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._trained, s.norm)
        self._optimiser.step()
        return {"value_loss": float(value_loss.detach()), "entropy": float(entropy.mean().detach())}

    def _distribution(self, batch: _Batch) -> Tensor:
        """Log-probabilities (B, 1 + 2K), or means (B, K, outputs)."""
        each, nothing = self.actor(batch.x, batch.present)
        if self.kind == NORMAL:
            return each
        scores = torch.cat([nothing, each[..., 0], each[..., 1]], -1)
        return torch.log_softmax(scores.masked_fill(~batch.mask, _IMPOSSIBLE), -1)

    def _logp(self, new: Tensor, batch: _Batch) -> tuple[Tensor, Tensor]:
        """Log-probability of what was done, and entropy."""
        if self.kind == CHOICE:
            allowed = new.masked_fill(~batch.mask, 0.0)
            return new.gather(1, batch.action).squeeze(1), -(new.exp() * allowed).sum(-1)
        each = torch.distributions.Normal(new, self.settings.deviation)
        present = batch.present.unsqueeze(-1)
        return (each.log_prob(batch.action) * present).sum((1, 2)), (each.entropy() * present).sum((1, 2))

    def _kl(self, new: Tensor, batch: _Batch, old: Tensor) -> Tensor:
        if self.kind == CHOICE:
            return categorical_kl(old, new)
        return (normal_kl(old, new, self.settings.deviation) * batch.present.unsqueeze(-1)).sum((1, 2))


@dataclass(slots=True)
class _Batch:
    x: Tensor
    present: Tensor
    mask: Tensor
    action: Tensor
    logp: Tensor

    def rows(self, at: Tensor) -> _Batch:
        return _Batch(self.x[at], self.present[at], self.mask[at], self.action[at], self.logp[at])


def _batch(episodes: Sequence[Episode], kind: str) -> _Batch:
    """All decisions, padded to the largest number of tasks K; indices of actions are those of K tasks."""
    states = [state for episode in episodes for state in episode.states]
    if not states:
        raise BadTraining("episodes", 0, "episodes with at least one decision")
    most = max(len(state) for state in states)
    x = np.zeros((len(states), most, states[0].shape[1]))
    present = np.zeros((len(states), most))
    mask = np.zeros((len(states), 1 + 2 * most), dtype=bool)
    mask[:, 0] = True
    masks = [mask_ for episode in episodes for mask_ in episode.masks]
    actions = [action for episode in episodes for action in episode.actions]
    first = actions[0]
    done = (
        np.zeros((len(states), 1), dtype=np.int64)
        if kind == CHOICE
        else np.zeros((*x.shape[:2], first.shape[1]))
    )
    for row, (state, allowed, action) in enumerate(zip(states, masks, actions, strict=True)):
        count = len(state)
        x[row, :count], present[row, :count] = state, 1.0
        if allowed is not None:
            mask[row, 1 : 1 + count] = allowed[1 : 1 + count]
            mask[row, 1 + most : 1 + most + count] = allowed[1 + count :]
            done[row, 0] = action if action <= count else action - count + most
        else:
            done[row, :count] = action
    logp = np.array([value for episode in episodes for value in episode.logps])
    return _Batch(*(torch.from_numpy(array) for array in (x, present, mask, done, logp)))
