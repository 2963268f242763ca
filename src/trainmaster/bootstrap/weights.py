"""Which trained weights a service uses: its own folder's, else those in the wheel."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from trainmaster.policies.allotment import residual_ppo, rlpto
from trainmaster.policies.learned import TaskNetwork, WrongWeights, read
from trainmaster.policies.registry import ALLOTMENTS

TRAINED = {
    "rlpto": (rlpto.Rlpto, rlpto.FEATURES, rlpto.OUTPUTS),
    "residual_ppo": (residual_ppo.ResidualPpo, residual_ppo.FEATURES, residual_ppo.OUTPUTS),
}


def own_file(data: Path, policy: str) -> Path:
    """Where a data folder keeps weights of its own."""
    return data / "policies" / f"{policy}.json"


def read_file(path: Path, policy: str) -> TaskNetwork:
    """Raises WrongWeights."""
    _, features, outputs = TRAINED[policy]
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongWeights(str(path), f"cannot be read ({error})", policy) from None
    return read(text, str(path), policy, features, outputs)


def adopt(data: Path) -> list[str]:
    """Let the registry make trained policies with the weights of this folder. Returns their names; raises
    WrongWeights."""
    found = []
    for policy, (make, _, _) in TRAINED.items():
        path = own_file(data, policy)
        if path.is_file():
            ALLOTMENTS[policy] = partial(make, network=read_file(path, policy))
            found.append(policy)
    return found
