"""RLPTO's cycle and reward on hand cases; the trained policies and their weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from trainmaster.domain.ids import NodeId, TaskId
from trainmaster.domain.learned import Learned, Phase, learn
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.task import Task, TaskSpec, Urgency
from trainmaster.domain.units import Resources
from trainmaster.policies.allotment import residual_ppo, rlpto
from trainmaster.policies.allotment.crews import Crews, worth
from trainmaster.policies.allotment.marginal_goodput import MarginalGoodput
from trainmaster.policies.allotment.residual_ppo import ResidualPpo
from trainmaster.policies.allotment.rlpto import Rlpto
from trainmaster.policies.allotment.servers import Servers
from trainmaster.policies.base import AllotmentView, Claim, NodeView
from trainmaster.policies.convergence import BadBeta, accuracies, gain_per_epoch, has_gained_less, settled
from trainmaster.policies.learned import TaskNetwork, WrongWeights, read, shipped, shipped_text
from trainmaster.rl.recording import Reward

GPU = Resources(gpus=1)
RISING, FLAT = (0.5, 0.6, 0.7, 0.8), (0.8, 0.8001, 0.8002, 0.8002)


def claim(
    number: int, workers: int, values: Sequence[float] = (), least: int = 1, movable: bool = True
) -> Claim:
    learned = Learned()
    for epoch, value in enumerate(values, 1):
        metrics = {
            "epoch": float(epoch),
            "accuracy": value,
            "loss": 1 - value,
            "samples_s": 10.0 * max(workers, 1),
        }
        learned = learn(learned, 60.0 * epoch, 100.0 * epoch, max(workers, 1), metrics)
    spec = TaskSpec("t", command=("t",), resources=GPU, min_workers=least, max_workers=8)
    state = TaskState.RUNNING if workers else TaskState.QUEUED
    started = 0.0 if workers else None
    task = Task(
        TaskId(f"t-{number}"),
        number,
        spec,
        state,
        0.0,
        spec.urgency,
        0.0,
        workers=workers,
        started_at=started,
    )
    return Claim(task, workers, least, 8, movable, learned)


def view(claims: list[Claim], size: int) -> AllotmentView:
    node = NodeView(NodeId("n"), GPU * size, GPU * 0, 0.0, 0.0, 0, 0)
    return AllotmentView(600.0, claims, GPU * (size - sum(c.workers for c in claims)), [node])


def nothing(state: np.ndarray, mask: np.ndarray) -> int:
    return 0


POLICY = Rlpto(beta=1e-3, lead=4.0, window=3)


def test_who_gains_less_than_the_threshold_gives_one_worker_up() -> None:
    """Not the rising one, not below the minimum, not who cannot be moved."""
    claims = [claim(1, 4, RISING), claim(2, 4, FLAT), claim(3, 2, FLAT, 2), claim(4, 2, FLAT, 1, False)]
    assert list(POLICY.cycle(view(claims, 12), nothing).values()) == [4, 3, 2, 2]


def test_a_new_task_starts_with_an_even_share_or_what_is_free() -> None:
    assert list(POLICY.cycle(view([claim(1, 0), claim(2, 0), claim(3, 0)], 12), nothing).values()) == [
        4,
        4,
        4,
    ]
    assert list(POLICY.cycle(view([claim(1, 7), claim(2, 4), claim(3, 0)], 12), nothing).values()) == [
        7,
        4,
        1,
    ]
    assert list(POLICY.cycle(view([claim(1, 8), claim(2, 4), claim(3, 0)], 12), nothing).values()) == [
        8,
        4,
        0,
    ]


def test_the_agent_acts_while_workers_are_free_and_only_once_for_each() -> None:
    seen: list[list[bool]] = []

    def first_allowed(state: np.ndarray, mask: np.ndarray) -> int:
        assert state.shape == (3, 7) and len(mask) == 7
        seen.append(mask.tolist())
        return int(np.flatnonzero(mask[1:])[0]) + 1

    claims = [claim(1, 2, RISING), claim(2, 3, FLAT), claim(3, 2, RISING)]
    assert list(POLICY.cycle(view(claims, 10), first_allowed).values()) == [3, 2, 3]
    # Task 2 has given one up already: neither more nor less. Then task 1 has had its change, too.
    assert seen == [
        [True, True, False, True, True, False, True],
        [True, False, False, True, False, False, True],
    ]


def test_without_free_workers_the_agent_is_not_asked() -> None:
    def never(state: np.ndarray, mask: np.ndarray) -> int:
        raise AssertionError

    assert list(POLICY.cycle(view([claim(1, 2, RISING), claim(2, 2)], 4), never).values()) == [2, 2]


def test_the_state_is_the_papers() -> None:
    def look(state: np.ndarray, mask: np.ndarray) -> int:
        m, e, last, largest, a, c, w = state[0]
        assert (m, a, w) == (1.0, 0.8, 0.25)
        assert e == pytest.approx(np.log1p(4) / 5) and c == pytest.approx(np.log1p(10) / 5)
        assert last == pytest.approx(np.log1p(0.2)) and largest == pytest.approx(np.log1p(0.5))
        return 0

    POLICY.cycle(view([claim(1, 2, RISING)], 8), look)


@pytest.mark.parametrize("beta", [0.0, -1e-4, 0.5, float("nan")])
def test_beta_out_of_range_is_refused(beta: float) -> None:
    with pytest.raises(BadBeta, match="between 0 and"):
        Rlpto(beta=beta)
    with pytest.raises(BadBeta):
        ResidualPpo(beta=beta)


def test_the_reward_is_equation_5() -> None:
    """kw = 0.000625: 2 cycles with 4 workers weigh 0.005; improving they are paid, otherwise charged."""
    reward = Reward(beta=0.001, window=1, cycle_s=60.0)
    assert reward.of(0.01, 2, 4) == pytest.approx(0.015)
    assert reward.of(0.0005, 2, 4) == pytest.approx(-0.0045)
    assert reward.of(-0.01, 2, 4) == pytest.approx(-0.015)


def test_gain_per_epoch() -> None:
    assert gain_per_epoch([0.5], 3) is None
    assert gain_per_epoch([0.5, 0.6, 0.8], 1) == pytest.approx(0.2)
    assert gain_per_epoch([0.0, 0.5, 0.6, 0.8], 2) == pytest.approx(0.15)
    assert not has_gained_less([0.5, 0.5], 0.1, 2), "too few values say nothing"
    assert has_gained_less([0.5, 0.5, 0.5], 0.1, 2)
    assert has_gained_less([0.5, 0.5, 0.5, 0.9], 0.1, 2), "once is for good"


def test_training_has_settled_when_it_neither_rises_nor_falls() -> None:
    assert settled([0.5] * 6, 1e-3, 5) and not settled([0.5] * 5, 1e-3, 5)
    assert not settled([0.5, 0.6, 0.7, 0.8, 0.9, 0.95], 1e-3, 5)
    assert not settled([0.9, 0.9, 0.9, 0.9, 0.87, 0.85], 1e-3, 5), "a fall is no convergence"
    assert not settled([0.9, 0.9, 0.88, 0.87, 0.885, 0.9], 1e-3, 5), "nor is coming back from one"


def test_of_an_epoch_the_latest_accuracy_counts() -> None:
    learned = Learned()
    for at, (epoch, value) in enumerate([(1.0, 0.5), (1.0, 0.55), (2.0, 0.6)]):
        learned = learn(learned, float(at), float(at), 1, {"epoch": epoch, "accuracy": value})
    assert list(accuracies(learned)) == [0.55, 0.6]


def test_servers_show_a_policy_so_many_tasks() -> None:
    claims = [claim(1, 4, RISING), claim(2, 0), claim(3, 0)]
    assert dict(Servers(MarginalGoodput(), 2).allot(view(claims, 12)))["t-3"] == 0
    assert dict(Servers(MarginalGoodput(), 3).allot(view(claims, 12)))["t-3"] > 0


def zeros(policy: str, features: Sequence[str], outputs: int) -> TaskNetwork:
    shapes = [(4, 2 * len(features)), (4, 4), (outputs, 4), (1, 4)]
    return TaskNetwork(policy, tuple(features), tuple((np.zeros(s), np.zeros(s[0])) for s in shapes))


NOTHING_CORRECTED = zeros("residual_ppo", residual_ppo.FEATURES, residual_ppo.OUTPUTS)


def test_a_task_has_a_worker_more_for_every_step_of_gain() -> None:
    """Over 5 epochs it gained 0.0041 per epoch at first, at the end 0.0021, and the least counts."""
    values = [0.8 + 0.0041 * k for k in range(6)] + [0.8226, 0.8247, 0.8268, 0.8289, 0.8310]
    crews = Crews(beta=1e-3, step=2.0, before=0.0)
    assert crews.earned(claim(1, 4, values[:5])) == 8, "too early to tell: as many as it may have"
    assert crews.earned(claim(1, 4, values[:6])) == 1 + 2
    assert crews.earned(claim(1, 4, values)) == 1 + 1
    assert crews.earned(claim(1, 4, values), factor=3.0) == 1
    assert crews.earned(claim(1, 4, (0.9, 0.8, 0.7, 0.6, 0.5, 0.4))) == 1, "nor less than its own"
    early = Crews(beta=1e-3, step=2.0, before=6.0)
    assert early.earned(claim(1, 4, values[:6])) == 1 + 1, "(1 + 6/6)² β earn a worker after 6 epochs"


def test_what_says_itself_that_it_converges_keeps_one() -> None:
    plateau = replace(claim(1, 4, RISING), learned=Learned(phase=Phase.PLATEAU))
    assert Crews(beta=1e-3).earned(plateau) == 1


def test_crews_are_larger_when_nobody_waits_and_for_what_is_worth_more() -> None:
    crews, same = Crews(beta=1e-3, crew=3, alone=5, haste=1.0), [(1.0, 1.0)] * 2
    assert crews.sizes([claim(1, 1), claim(2, 0)], same) == [3, 3]
    assert crews.sizes([claim(1, 1), claim(2, 1)], same) == [5, 5]
    assert crews.sizes([claim(1, 1), claim(2, 1)], [(1.0, 1.0), (0.2, 1.0)]) == [5, 1]
    urgent = claim(3, 0)
    urgent = replace(urgent, task=replace(urgent.task, urgency=Urgency.URGENT))
    assert crews.sizes([claim(1, 1), urgent], same) == [1, 5], "worth 1 and 6, the mean is 3.5"


def test_what_a_task_is_worth() -> None:
    task = claim(1, 0).task
    normal = [worth(replace(task, priority=each)) for each in (-1.0, 0.0, 2.0, 9.0)]
    assert normal == [1, 1, 3, 6]
    assert [worth(replace(task, urgency=u)) for u in (Urgency.URGENT, Urgency.HIGHEST)] == [6, 12]


def test_the_residual_starts_tasks_in_crews_and_lets_the_others_wait() -> None:
    policy = ResidualPpo(NOTHING_CORRECTED, beta=1e-3)
    waiting = [claim(number, 0) for number in range(1, 6)]
    assert list(policy.allot(view(waiting, 11)).values()) == [3, 3, 3, 0, 0]
    assert list(policy.allot(view(waiting[:2], 11)).values()) == [3, 3], (
        "they would have more were they alone"
    )
    assert list(policy.allot(view([claim(1, 8), *waiting[1:3]], 11)).values()) == [3, 3, 3]


def test_who_gains_too_little_keeps_one_and_the_others_get_the_rest() -> None:
    flat = (*FLAT, 0.8002, 0.8002)
    policy = ResidualPpo(NOTHING_CORRECTED, beta=1e-3)
    assert list(policy.allot(view([claim(1, 3, RISING), claim(2, 3, flat)], 12)).values()) == [5, 1]


def test_the_network_corrects_weight_crew_and_step() -> None:
    policy = ResidualPpo(NOTHING_CORRECTED, beta=1e-3)
    shown = view([claim(1, 3), claim(2, 3)], 7)
    assert list(policy.corrected(shown, np.array([[2.0, 0, 0], [-2.0, 0, 0]])).values()) == [4, 3]
    assert list(policy.corrected(shown, np.array([[0, 0, 0], [0, -9.0, 0]])).values()) == [5, 2]
    rising = view([claim(1, 3, [0.5 + 0.012 * k for k in range(6)])], 9)
    assert list(policy.corrected(rising, np.zeros((1, 3))).values()) == [3], "1 + 12β / (1 + 8/6)²β"
    assert list(policy.corrected(rising, np.array([[0, 0, 1.0]])).values()) == [1]


@pytest.mark.parametrize("module", [rlpto, residual_ppo])
def test_shipped_weights_say_how_they_were_made(module: object) -> None:
    name = module.__name__.rpartition(".")[2]  # type: ignore[attr-defined]
    network = shipped(name, module.FEATURES, module.OUTPUTS)  # type: ignore[attr-defined]
    assert str(network.trained["command"]).startswith(f"trainmaster policy train {name} ")
    assert "seed" in network.trained


def test_weights_survive_the_file() -> None:
    network = shipped("rlpto", rlpto.FEATURES, rlpto.OUTPUTS)
    again = read(network.to_json(), "here", "rlpto", rlpto.FEATURES, rlpto.OUTPUTS)
    x = np.random.default_rng(0).normal(size=(5, 7))
    assert (again(x)[0] == network(x)[0]).all() and again.to_json() == network.to_json()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "format 2"), ({"policy": "residual_ppo"}, "of the policy"),
        ({"features": ["m"]}, "features"),
        ({"layers": []}, "incomplete"), ({"layers": [{"weight": [[float("nan")]]}]}, "incomplete"),
    ],
)  # fmt: skip
def test_weights_of_another_version_are_refused(change: dict[str, object], said: str) -> None:
    text = shipped_text("rlpto")
    assert text is not None
    with pytest.raises(WrongWeights, match=said) as refused:
        read(json.dumps(json.loads(text) | change), "file", "rlpto", rlpto.FEATURES, rlpto.OUTPUTS)
    assert "policy train rlpto" in refused.value.remedy


def test_what_is_no_file_of_weights_is_refused() -> None:
    with pytest.raises(WrongWeights, match="not a file"):
        read("hello", "file", "rlpto", rlpto.FEATURES, rlpto.OUTPUTS)
