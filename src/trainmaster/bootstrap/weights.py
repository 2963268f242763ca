"""Which trained weights a service uses: its own folder's, else those in the wheel."""

from __future__ import annotations

from pathlib import Path

from trainmaster.policies.allotment import residual_ppo, rlpto
from trainmaster.policies.learned import TaskNetwork, WrongWeights, read

TRAINED = {
    "rlpto": (rlpto.FEATURES, rlpto.OUTPUTS),
    "residual_ppo": (residual_ppo.FEATURES, residual_ppo.OUTPUTS),
}


def own_file(data: Path, policy: str) -> Path:
    """Where a data folder keeps weights of its own."""
    return data / "policies" / f"{policy}.json"


def read_file(path: Path, policy: str) -> TaskNetwork:
    """Raises WrongWeights."""
    features, outputs = TRAINED[policy]
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WrongWeights(str(path), f"cannot be read ({error})", policy) from None
    return read(text, str(path), policy, features, outputs)


def own_networks(data: Path) -> dict[str, TaskNetwork]:
    """The weights of this folder, by policy. Raises WrongWeights."""
    paths = {policy: own_file(data, policy) for policy in TRAINED}
    return {policy: read_file(path, policy) for policy, path in paths.items() if path.is_file()}
