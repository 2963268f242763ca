"""Random task graphs by the four steps of the TDPATD paper (section "DataSet").

1. Nodes per level: one entry, one exit, the rest spread uniformly over the inner levels.
2. Out-degree and weight of every node: out-degrees normal around ``out_degree``, drawn again while they
   do not fit the next level; nodes of the level before the exit have one edge, to the exit.
3. Edges between adjacent levels, so that in-degrees in a level differ by at most one; the entry leads to
   every node of the second level; edge weights by CCR and CDR.
4. A node left without a parent gets a random one in the level above, without a child one in the next.

The paper names its weight distribution in an image that is lost. Here weights are uniform in
mean · [1 − cdr, 1 + cdr]: task times around ``mean_work``, edge costs around ``ccr · mean_work``.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from trainmaster.dagsched.errors import OptionError
from trainmaster.dagsched.graph import TaskGraph

REDRAWS = 64


def generate(
    tasks: int,
    height: int | None = None,
    ccr: float = 1.0,
    out_degree: float = 3.0,
    cdr: float = 0.5,
    seed: int = 0,
    *,
    width: float | None = None,
    deviation: float | None = None,
    mean_work: float = 100.0,
    in_degree_slack: int = 1,
) -> TaskGraph:
    """A layered random graph with one entry and one exit.

    ``tasks`` ≥ 1. ``height``: number of levels; or ``width``: mean number of tasks in an inner level;
    neither gives √tasks levels. ``ccr`` ≥ 0: mean edge cost over mean task time. ``out_degree`` > 0 with
    standard ``deviation`` (a third of it by default). ``cdr`` in [0, 1]: half the range of the weights
    relative to their mean. ``in_degree_slack``: by how much in-degrees in a level may differ before the
    repair of step 4. Same arguments, same graph, on every machine. Raises ``OptionError``.
    """
    _in_range("tasks", tasks, 1, 2**31 - 2)
    _in_range("ccr", ccr, 0.0, 1e9)
    _in_range("cdr", cdr, 0.0, 1.0)
    _in_range("out_degree", out_degree, 1e-9, 1e9)
    _in_range("mean_work", mean_work, 1e-300, 1e300)
    _in_range("in_degree_slack", in_degree_slack, 1, 2**31)
    if deviation is None:
        deviation = out_degree / 3
    _in_range("deviation", deviation, 0.0, 1e9)
    if height is not None and width is not None:
        raise OptionError("width", width, "give a height or a width, not both")
    if height is None:
        if width is not None:
            _in_range("width", width, 1.0, float(tasks) + 1)
            height = 2 + max(1, round((tasks - 2) / width)) if tasks > 2 else tasks
        else:
            height = round(math.sqrt(tasks)) + 2 if tasks > 2 else tasks
        height = min(height, tasks)
    _in_range("height", height, min(tasks, 3), tasks)
    rng = np.random.default_rng(seed)
    level_of, first = _levels(tasks, height, rng)
    source, target = _edges(first, level_of, out_degree, deviation, in_degree_slack, rng)
    work = mean_work * rng.uniform(1.0 - cdr, 1.0 + cdr, tasks)
    cost = ccr * mean_work * rng.uniform(1.0 - cdr, 1.0 + cdr, source.size)
    return TaskGraph.from_arrays(work, source, target, cost)


def _in_range(option: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise OptionError(option, value, f"must lie between {low} and {high}")


def _levels(
    tasks: int, height: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Step 1. The level of each node, and the first node of each level (height + 1 entries)."""
    sizes = np.ones(height, np.int64)
    if height > 2:
        # Each inner level needs one node to be a level; the others fall uniformly.
        inner = tasks - 2
        spread = rng.integers(0, height - 2, inner - (height - 2))
        sizes[1:-1] += np.bincount(spread, minlength=height - 2)
    first = np.concatenate(([0], np.cumsum(sizes)))
    return np.repeat(np.arange(height), sizes), first


def _edges(
    first: npt.NDArray[np.int64],
    level_of: npt.NDArray[np.int64],
    out_degree: float,
    deviation: float,
    slack: int,
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Steps 2 to 4. Sources and targets, unordered."""
    height = first.size - 1
    sources: list[npt.NDArray[np.int64]] = []
    targets: list[npt.NDArray[np.int64]] = []
    for level in range(height - 1):
        here = np.arange(first[level], first[level + 1])
        there = np.arange(first[level + 1], first[level + 2])
        if level == 0 or level == height - 2:
            sources.append(np.repeat(here, there.size))
            targets.append(np.tile(there, here.size))
            continue
        degrees = _out_degrees(here.size, there.size, out_degree, deviation, rng)
        source, target = _connect(here, there, degrees, slack, rng)
        lonely = np.setdiff1d(there, target)
        sources += [source, rng.choice(here, lonely.size)]
        targets += [target, lonely]
    if not sources:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    return np.concatenate(sources), np.concatenate(targets)


def _out_degrees(
    count: int, room: int, mean: float, deviation: float, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Step 2. Normal out-degrees rounded, drawn again while outside 1 … room, at last clipped."""
    degrees = np.rint(rng.normal(mean, deviation, count)).astype(np.int64)
    for _ in range(REDRAWS):
        wrong = (degrees < 1) | (degrees > room)
        if not wrong.any():
            break
        degrees[wrong] = np.rint(rng.normal(mean, deviation, int(wrong.sum()))).astype(np.int64)
    return np.clip(degrees, 1, room)


def _connect(
    here: npt.NDArray[np.int64],
    there: npt.NDArray[np.int64],
    degrees: npt.NDArray[np.int64],
    slack: int,
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Step 3. Deal the edge ends like cards over shuffled decks of the next level.

    With ``slack`` 1 every deck is dealt out before the next begins, so in-degrees differ by at most one;
    a larger slack deals from that many decks at once.
    """
    room = there.size
    total = int(degrees.sum())
    decks = -(-total // room) + 1
    ends = np.empty(0, np.int64)
    groups = []
    for _ in range(0, decks, slack):
        group = np.concatenate([rng.permutation(room) for _ in range(slack)])
        groups.append(rng.permutation(group) if slack > 1 else group)
    ends = np.concatenate(groups)[:total]
    owner = np.repeat(np.arange(here.size), degrees)
    # One node may not get the same end twice: swap such an end with a later one that fits both.
    key = owner * room + ends
    order = np.argsort(key, kind="stable")
    repeated = np.sort(order[1:][key[order][1:] == key[order][:-1]])
    held = set(key.tolist()) if repeated.size else set()
    keep = np.ones(total, np.bool_)
    for at in repeated.tolist():
        keep[at] = _swap(at, owner, ends, held, room)
    return here[owner[keep]], there[ends[keep]]


def _swap(
    at: int, owner: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], held: set[int], room: int
) -> bool:
    """Exchange the end at ``at`` with another node's, so that both keep different ends.

    Searches outward from ``at``, which keeps the exchange within neighbouring decks; False if none fits.
    """
    me, mine = int(owner[at]), int(ends[at])
    for distance in range(1, min(ends.size, 4 * room)):
        for other in (at - distance, at + distance):
            if not 0 <= other < ends.size:
                continue
            you, yours = int(owner[other]), int(ends[other])
            if you == me or me * room + yours in held or you * room + mine in held:
                continue
            held.discard(you * room + yours)
            held.update((me * room + yours, you * room + mine))
            ends[at], ends[other] = yours, mine
            return True
    return False
