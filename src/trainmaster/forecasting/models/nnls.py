"""Non-negative least squares from normal equations (Lawson and Hanson 1974, algorithm NNLS)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def nnls(gram: FloatArray, moment: FloatArray) -> FloatArray:
    """The w ≥ 0 that minimises w'Gw/2 − m'w, float64[p].

    gram    float64[p, p], symmetric positive definite;  moment float64[p]

    Active-set method in the normal-equation form of Bro and De Jong (1997): a variable enters with the
    steepest gradient (ties: the lowest index) and leaves when it would turn negative. Ends after at most
    3 p entries, which a positive definite system never needs.
    """
    size = moment.size
    weights = np.zeros(size)
    active = np.zeros(size, dtype=np.bool_)
    limit = 1e-12 * float(np.max(np.abs(np.diag(gram)), initial=1.0))
    for _ in range(3 * size):
        gradient = np.where(active, -np.inf, moment - gram @ weights)
        enter = int(np.argmax(gradient))
        if not gradient[enter] > limit:
            break
        active[enter] = True
        while True:
            index = np.flatnonzero(active)
            trial = np.zeros(size)
            trial[index] = np.linalg.solve(gram[np.ix_(index, index)], moment[index])
            if (trial[index] > 0).all():
                weights = trial
                break
            # Walk towards the trial point until the first weight reaches zero, and drop it.
            down = index[trial[index] <= 0]
            step = float(np.min(weights[down] / (weights[down] - trial[down])))
            weights = weights + step * (trial - weights)
            active &= weights > 1e-15
            weights[~active] = 0.0
            if not active.any():
                break
    return weights
