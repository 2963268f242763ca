"""PPO against closed forms and hand cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trainmaster.rl.errors import BadTraining
from trainmaster.rl.ppo import (
    CHOICE,
    CLIP,
    KL,
    NORMAL,
    Episode,
    Ppo,
    Settings,
    adapted,
    advantages,
    categorical_kl,
    clipped,
    normal_kl,
    penalised,
)

REWARDS, VALUES = [1.0, 0.0, 2.0], [0.5, 1.0, -1.0]


def test_with_lambda_1_an_advantage_is_the_discounted_return_less_the_value() -> None:
    """Equation 7: 1 + 0.9·0 + 0.81·2 = 2.62, 0 + 0.9·2 = 1.8, 2."""
    found, returns = advantages(REWARDS, VALUES, [0.9] * 3, 1.0)
    assert returns == pytest.approx([2.62, 1.8, 2.0])
    assert found == pytest.approx([2.12, 0.8, 3.0])


def test_with_lambda_0_it_is_the_td_error() -> None:
    """Equation 11, nothing being worth anything after the end: 1 + 0.9·1 − 0.5, 0 − 0.9 − 1, 2 + 1."""
    found, _ = advantages(REWARDS, VALUES, [0.9] * 3, 0.0)
    assert found == pytest.approx([1.4, -1.9, 3.0])


def test_in_between_it_is_the_weighted_sum_of_td_errors() -> None:
    """A_t = Σ_k (γλ)^k δ_(t+k), with γλ = 0.45."""
    found, _ = advantages(REWARDS, VALUES, [0.9] * 3, 0.5)
    assert found == pytest.approx([1.4 + 0.45 * -1.9 + 0.45**2 * 3, -1.9 + 0.45 * 3, 3.0])


def test_discounts_may_differ_from_step_to_step() -> None:
    """Several decisions in one cycle: no time passes between them."""
    _, returns = advantages([0.0, 0.0, 1.0], [0.0] * 3, [1.0, 0.5, 0.9], 1.0)
    assert returns == pytest.approx([0.5, 0.5, 1.0])


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [(1.5, 2.0, 2.4), (0.5, 2.0, 1.0), (1.5, -2.0, -3.0), (0.5, -2.0, -1.6), (1.1, 2.0, 2.2)],
)
def test_the_clipped_surrogate(ratio: float, advantage: float, expected: float) -> None:
    """ε = 0.2: what would gain by going farther is capped, what loses is not."""
    found = clipped(torch.tensor(ratio), torch.tensor(advantage), 0.2)
    assert float(found) == pytest.approx(expected)


def test_the_clipped_surrogate_has_no_gradient_beyond_the_clip() -> None:
    for ratio, advantage, moves in (
        (1.5, 1.0, False),
        (0.5, -1.0, False),
        (0.5, 1.0, True),
        (1.5, -1.0, True),
    ):
        rho = torch.tensor(ratio, requires_grad=True)
        clipped(rho, torch.tensor(advantage), 0.2).backward()
        assert rho.grad is not None and (float(rho.grad) != 0) is moves


def test_the_penalised_surrogate() -> None:
    assert float(penalised(torch.tensor(1.5), torch.tensor(2.0), torch.tensor(0.1), 4.0)) == pytest.approx(
        2.6
    )


@pytest.mark.parametrize(("kl", "expected"), [(0.0151, 2.0), (0.015, 1.0), (0.007, 1.0), (0.0066, 0.5)])
def test_the_penalty_adapts(kl: float, expected: float) -> None:
    """Target 0.01: doubled above 0.015, halved below 0.00667."""
    assert adapted(1.0, kl, 0.01) == expected


def test_divergences() -> None:
    """Equation 16: 0.5·log(0.5/0.25) + 0.5·log(0.5/0.75); normal, means one deviation apart: 1/2."""
    old, new = torch.tensor([0.5, 0.5]).log(), torch.tensor([0.25, 0.75]).log()
    assert float(categorical_kl(old, new)) == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3))
    assert float(categorical_kl(old, old)) == 0
    assert float(normal_kl(torch.tensor(0.0), torch.tensor(0.3), 0.3)) == pytest.approx(0.5)


def test_the_numpy_network_is_the_torch_network() -> None:
    ppo = Ppo(CHOICE, "p", ("a", "b", "c"), 2, Settings(hidden=8), 3)
    x = np.random.default_rng(0).normal(size=(4, 3))
    each, nothing = ppo.network()(x)
    with torch.no_grad():
        padded = torch.from_numpy(np.concatenate([x, np.full((2, 3), 9.0)]))[None]
        their_each, their_all = ppo.actor(padded, torch.tensor([[1.0] * 4 + [0.0] * 2], dtype=torch.float64))
    assert each == pytest.approx(their_each[0, :4].numpy(), abs=1e-12)
    assert nothing == pytest.approx(their_all[0].numpy(), abs=1e-12)


def bandit(variant: str, seed: int, rounds: int = 15) -> tuple[Ppo, float]:
    """Giving a worker to the larger of two tasks pays 1, to the other −1; the third is masked."""
    settings = Settings(variant=variant, hidden=8, rate=0.01, entropy=0.0)
    ppo, chance = Ppo(CHOICE, "p", ("size",), 2, settings, seed), np.random.default_rng(seed)
    mask = np.array([True, True, True, False, False, False, False])
    paid: list[float] = []
    for _ in range(rounds):
        network, paid, episodes = ppo.network(), [], []
        for _ in range(64):
            state = chance.permutation([[0.0], [1.0], [0.5]])
            each, nothing = network(state)
            scores = np.where(mask, np.concatenate([nothing, each[:, 0], each[:, 1]]), -np.inf)
            chances = np.exp(scores - scores.max())
            chances /= chances.sum()
            action = int(chance.choice(7, p=chances))
            reward = 0.0 if action == 0 else float(np.sign(state[action - 1, 0] - state[2 - action, 0]))
            paid.append(reward)
            episodes.append(
                Episode([state], [mask], [action], [float(np.log(chances[action]))], [reward], [0.99])
            )
        ppo.update(episodes)
    return ppo, sum(paid) / len(paid)


@pytest.mark.parametrize("variant", [KL, CLIP])
def test_both_variants_learn_whom_to_serve(variant: str) -> None:
    assert bandit(variant, 0)[1] > 0.8


def test_the_same_seed_gives_the_same_weights() -> None:
    first, second, other = (bandit(KL, seed, 3)[0].network().to_json() for seed in (1, 1, 2))
    assert first == second != other


def test_normal_outputs_learn_a_target() -> None:
    """Each task's output should be its feature."""
    settings = Settings(hidden=8, rate=0.01, entropy=0.0, deviation=0.3)
    ppo, chance = Ppo(NORMAL, "p", ("x",), 1, settings, 0), np.random.default_rng(0)
    errors = []
    for _ in range(25):
        network, episodes = ppo.network(), []
        for _ in range(64):
            state = chance.uniform(-1, 1, (int(chance.integers(1, 4)), 1))
            noise = chance.normal(size=state.shape)
            action = network(state)[0] + 0.3 * noise
            logp = float((-(noise**2) / 2 - np.log(0.3) - np.log(2 * np.pi) / 2).sum())
            reward = -float(((action - state) ** 2).mean())
            episodes.append(Episode([state], [None], [action], [logp], [reward], [0.99]))
        errors.append(np.mean([-e.rewards[0] for e in episodes]))
        ppo.update(episodes)
    assert errors[-1] < errors[0] - 0.15


@pytest.mark.parametrize(
    "wrong",
    [{"variant": "trpo"}, {"gamma": 1.5}, {"rate": 0.0}, {"clip": -1.0}, {"hidden": 0}, {"lam": -0.1}],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadTraining):
        Settings(**wrong)  # type: ignore[arg-type]


def test_no_decision_is_no_training() -> None:
    with pytest.raises(BadTraining):
        Ppo(CHOICE, "p", ("a",), 2, Settings(hidden=4), 0).update([Episode()])
