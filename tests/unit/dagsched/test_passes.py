"""Our choice of what numba does: what parts take with them into kernels, and a numba nobody has tried."""

from __future__ import annotations

from pathlib import Path

from tests.unit.dagsched.fresh import python

KERNELS = """
import numpy as np
from trainmaster.dagsched.jit import inner, kernel

TABLE = np.array([3.0, 5.0, 7.0])
PAIR = (2, 4)

@inner
def looked_up(i, missing=None):
    if missing is not None:
        return missing.no_such_attribute
    if i == 2:
        print("the last of", i + 1)
    return TABLE[i] * PAIR[i % 2]

@inner
def room(n):
    return np.zeros(n), np.full(n, -1)

@kernel
def both(n):
    found, index = room(n)
    for i in range(n):
        found[i] = looked_up(i)
        index[n - 1 - i] = i
    return found, index

@kernel
def again(n):
    return looked_up(n) + both(n)[0].sum()
"""
USE = """
import kernels
found, index = kernels.both(3)
print(found.tolist(), index.tolist(), kernels.again(2), sum(kernels.again.stats.cache_hits.values()))
"""
PLANS = """
import hashlib
import numba
{before}
import sys
from trainmaster.dagsched import generate, jit, schedule
graph = generate(60, width=6, ccr=3, seed=2)
plans = [schedule(graph, 3, name).placements.tobytes() for name in ("heft", "duplication")]
print(jit.KNOWN, "trainmaster.dagsched.passes" in sys.modules, hashlib.sha256(b"".join(plans)).hexdigest())
"""


def test_kernels_have_their_parts_and_what_those_refer_to_from_the_cache_too(tmp_path: Path) -> None:
    (tmp_path / "kernels.py").write_text(KERNELS)
    expected = "the last of 3\n" * 2 + "[6.0, 20.0, 14.0] [2, 1, 0] 40.0"
    assert python(USE, tmp_path / "cache", modules=tmp_path) == f"{expected} 0"
    assert python(USE, tmp_path / "cache", modules=tmp_path) == f"{expected} 1"
    assert not list((tmp_path / "cache").rglob("*looked_up*")), "a part has nothing that could be cached"


def test_with_another_numba_its_own_passes_make_the_same_plans(tmp_path: Path) -> None:
    other = "numba.version_info = numba.version_info._replace(short=(9, 99))"
    ours = python(PLANS.format(before=""), tmp_path / "ours").split()
    theirs = python(PLANS.format(before=other), tmp_path / "theirs").split()
    assert (ours[:2], theirs[:2]) == (["True", "True"], ["False", "False"])
    assert ours[2] == theirs[2]


def test_scipy_is_left_alone_until_somebody_elses_kernels_ask_for_it(tmp_path: Path) -> None:
    script = """
import sys
import numba
import numpy as np
from trainmaster.dagsched import TaskGraph

assert TaskGraph([1.0, 2.0], [(0, 1, 1.0)]).n == 2
print("scipy.linalg" in sys.modules)
print(numba.njit(lambda a: np.dot(a, np.linalg.inv(a)))(2.0 * np.eye(2)).tolist())
print("scipy.linalg" in sys.modules)
"""
    assert python(script, tmp_path / "cache").splitlines() == ["False", "[[1.0, 0.0], [0.0, 1.0]]", "True"]


def test_kernels_stay_inside_their_arrays_and_never_count_from_the_end(tmp_path: Path) -> None:
    # Our passes take an index that is below zero for one far behind the end, and look at neither.
    careless = """
from trainmaster.dagsched.jit import kernel

@kernel
def outside(values, i):
    values[i] += 1.0
"""
    (tmp_path / "careless.py").write_text(careless)
    script = """
import os
os.environ["NUMBA_BOUNDSCHECK"] = "1"
import numpy as np
import careless
from trainmaster.dagsched import ALGORITHMS, generate, schedule

for i in (2, -1):
    try:
        careless.outside(np.zeros(2), i)
    except IndexError:
        print("outside")
graph = generate(60, width=6, ccr=3, seed=2)
for name in sorted(set(ALGORITHMS) - {"exact"}):
    for ports in ("multi", "single"):
        schedule(graph, [1.0, 2.0, 1.5], name, ports=ports).validate()
"""
    assert python(script, tmp_path / "cache", modules=tmp_path).split() == ["outside"] * 2
