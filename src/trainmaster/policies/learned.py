"""Trained policies without torch: a small network over tasks in NumPy, and the file it comes in."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from trainmaster.domain.errors import TrainmasterError

if TYPE_CHECKING:
    import numpy as np

FORMAT = 1


class WrongWeights(TrainmasterError):
    """Trained weights that this version cannot use: of another format or policy, or not weights at all."""

    code = "wrong-weights"
    status = 422

    def __init__(self, source: str, problem: str, policy: str) -> None:
        super().__init__(
            f"{source}: {problem}",
            remedy=f"train again with `trainmaster policy train {policy}`, or go back to what is shipped "
            f"with `trainmaster policy use {policy} shipped`",
            source=source,
            policy=policy,
        )


@dataclass(frozen=True, slots=True, eq=False)
class TaskNetwork:
    """One network for every task, so it serves any number of them in any order.

    h = tanh(B · tanh(A · [x, mean of x over tasks] + a) + b) for each task; `each` = C · h + c, one row per
    task; `all` = D · (mean of h) + d, for what concerns no single task. Arrays are float64: A (hidden, 2F),
    B (hidden, hidden), C (outputs, hidden), D (1, hidden) for F features.
    """

    policy: str
    features: tuple[str, ...]
    layers: tuple[tuple[np.ndarray, np.ndarray], ...]  # A a, B b, C c, D d
    trained: Mapping[str, Any] = field(default_factory=dict)  # command, seed and what came of it

    def __call__(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(each, all) of shapes (tasks, outputs) and (1,) for x of shape (tasks, F), tasks ≥ 1."""
        import numpy as np

        (first, a), (second, b), (third, c), (fourth, d) = self.layers
        count = x.shape[1]
        h = np.tanh(x @ first[:, :count].T + x.mean(axis=0) @ first[:, count:].T + a)
        h = np.tanh(h @ second.T + b)
        return h @ third.T + c, fourth @ h.mean(axis=0) + d

    def to_json(self) -> str:
        """One readable file; the same weights give the same bytes."""
        arrays = [{"weight": w.tolist(), "bias": b.tolist()} for w, b in self.layers]
        about = {"format": FORMAT, "policy": self.policy, "features": self.features, "trained": self.trained}
        return json.dumps({**about, "layers": arrays})


def read(text: str, source: str, policy: str, features: Sequence[str], outputs: int) -> TaskNetwork:
    """Inverse of `to_json`, for the policy that is named. Raises WrongWeights."""
    import numpy as np

    try:
        found = json.loads(text)
        version = found["format"]
    except (ValueError, KeyError, TypeError):
        raise WrongWeights(source, "is not a file of trained weights", policy) from None
    if version != FORMAT:
        raise WrongWeights(source, f"has format {version}, this version reads {FORMAT}", policy)
    if found.get("policy") != policy:
        raise WrongWeights(source, f"is of the policy {found.get('policy')!r}, not {policy!r}", policy)
    if tuple(found.get("features", ())) != tuple(features):
        raise WrongWeights(source, "was trained with other features than this version has", policy)
    try:
        layers = tuple((np.array(e["weight"], float), np.array(e["bias"], float)) for e in found["layers"])
        hidden = layers[0][0].shape[0]
        shapes = [(hidden, 2 * len(features)), (hidden, hidden), (outputs, hidden), (1, hidden)]
        right = [w.shape for w, _ in layers] == shapes and [b.shape for _, b in layers] == [
            s[:1] for s in shapes
        ]
    except (ValueError, KeyError, TypeError, IndexError):
        right = False
    if not right or not all(np.isfinite(w).all() and np.isfinite(b).all() for w, b in layers):
        raise WrongWeights(source, "is incomplete", policy)
    return TaskNetwork(policy, tuple(features), layers, found.get("trained", {}))


def shipped_text(policy: str) -> str | None:
    """What is in the wheel for this policy; None if nothing is."""
    file = importlib.resources.files("trainmaster.policies.weights") / f"{policy}.json"
    return file.read_text(encoding="utf-8") if file.is_file() else None


@cache
def shipped(policy: str, features: tuple[str, ...], outputs: int) -> TaskNetwork:
    """The weights in the wheel. They are part of the program, like its code, and read once. Raises
    WrongWeights."""
    text = shipped_text(policy)
    if text is None:
        raise WrongWeights("the wheel", f"has no weights of {policy}", policy)
    return read(text, f"the shipped weights of {policy}", policy, features, outputs)
