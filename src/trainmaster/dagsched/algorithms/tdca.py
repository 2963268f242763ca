"""Task-duplication based clustering (TDCA)."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainmaster.dagsched.bounds import join_aware_heads
from trainmaster.dagsched.errors import OptionError
from trainmaster.dagsched.improve.deduplicate import tighten
from trainmaster.dagsched.kernels.clusters import (
    BY_COMPLETION,
    BY_LOAD,
    BY_START,
    assign_leftovers,
    chains,
    critical_parents,
    earliest_completions,
)
from trainmaster.dagsched.kernels.insertion import insert_producers
from trainmaster.dagsched.kernels.merging import merge_lists
from trainmaster.dagsched.kernels.ports import free_ports
from trainmaster.dagsched.kernels.ranks import b_levels, descending
from trainmaster.dagsched.kernels.simulate import simulate_lists
from trainmaster.dagsched.problem import Draft, Problem
from trainmaster.dagsched.simulation import simulate

# Sums in another order may differ by rounding; a judgement that gives up this far above the best keeps ties.
SLACK = 1 + 1e-9
LEFTOVERS = {"start": BY_START, "rct": BY_COMPLETION, "load": BY_LOAD}


def tdca(problem: Problem, *, leftovers: str = "start", trials: int | None = None) -> Draft:
    """Clustering, duplication by trails, merging and insertion, on equal or different processors.

    He, Meng, Pan, Yuan & Zhou, IEEE TPDS 30 (2019), as two later papers describe it. The stages are the
    functions below; each change is judged by a full simulation and kept only if the makespan falls
    (merging: does not rise). ``leftovers``: where tasks go once no processor is idle, by least "start"
    (TDCA), least run-time completion "rct" (TDPATD's Algorithm 1) or least "load". ``trials`` bounds the
    judged trails; by default all are, which costs O(n) simulations of O(m p) as in the paper.
    """
    if leftovers not in LEFTOVERS:
        raise OptionError("leftovers", leftovers, f"must be one of {', '.join(LEFTOVERS)}")
    if trials is not None and trials < 0:
        raise OptionError("trials", trials, "must not be negative")
    lists = Lists(problem, leftovers)
    lists.duplicate_by_trails(trials)
    lists.merge()
    lists.insert()
    # An original left without a consumer beside it goes here, as any copy that nobody needs.
    return tighten(problem, simulate(problem, *lists.lists(lists.member)), simulated=True)


def first_lists(problem: Problem, order: Any, leftovers: str) -> tuple[Any, Any]:
    """Each task's critical parent (−1 for entries), and the lists of chains and leftovers (p, n, bool).

    ``order``: the tasks by falling b-level.
    """
    g, times = problem.g, problem.times
    ect = earliest_completions(g, times, problem.p)
    cpred, least = critical_parents(g, ect)
    member, assigned = chains(g, ect, least, cpred, order[::-1].copy())
    assign_leftovers(g, order, times, member, assigned, LEFTOVERS[leftovers])
    return cpred, member


class Lists:
    """The tasks of every processor, always in falling order of b-level (so no lists can block), judged.

    ``member`` (p, n, bool), columns by position in that order; ``makespan`` that of their simulation.
    """

    def __init__(self, problem: Problem, leftovers: str) -> None:
        g = problem.g
        self.problem = problem
        # Levels with the largest time of each task, as in the paper.
        slowest = np.ascontiguousarray(problem.times.max(axis=1))
        self.order = descending(g, b_levels(g, slowest, 1.0))
        cpred, member = first_lists(problem, self.order, leftovers)
        place = np.empty(problem.n + 1, np.int64)
        place[self.order] = np.arange(problem.n)
        place[-1] = -1
        # The position of the critical parent of the task at each position; −1 for entries.
        self.critical = place[cpred[self.order]].tolist()
        work = np.ascontiguousarray(problem.machine.least_times())
        self.earliest = join_aware_heads(g, work)
        self.tail = b_levels(g, work, 0.0)
        self.member = np.ascontiguousarray(member[:, self.order])
        self.makespan = np.inf
        self.makespan = self.judge(self.member)

    def lists(self, member: Any) -> tuple[Any, Any]:
        """Pointers and tasks as ``simulate`` takes them."""
        processor, position = np.nonzero(member)
        return np.searchsorted(processor, np.arange(member.shape[0] + 1)), self.order[position]

    def judge(self, member: Any) -> float:
        """The makespan of the lists, or inf once it is clear that it exceeds the best so far."""
        problem = self.problem
        limit = self.makespan * SLACK
        ports = free_ports(problem.p, problem.single)
        ptr, task = self.lists(member)
        _, finish, _, ran, _, _ = simulate_lists(
            problem.g, problem.times, ptr, task, ports, self.earliest, self.tail, limit
        )
        return float(finish.max()) if ran == finish.size else np.inf

    def trail(self, at: int) -> list[int]:
        """Positions of the critical parent of the task at ``at``, of its critical parent, on to an entry."""
        places = []
        while (at := self.critical[at]) >= 0:
            places.append(at)
        return places

    def duplicate_by_trails(self, trials: int | None) -> None:
        """Put the whole trail of a task before it where its critical parent is not the task before it.

        From the end of each list to its front. The tasks before it move to an idle processor if there is
        one, else stay. Trails are judged whole: part of one may help nothing. The first task of a list,
        if not an entry, gets its trail last.
        """
        judged = 0
        for q in range(self.member.shape[0]):
            positions = np.flatnonzero(self.member[q]).tolist()
            for i in range(len(positions) - 1, -1, -1):
                at = positions[i]
                parent = self.critical[at]
                if parent < 0 or (i > 0 and positions[i - 1] == parent):
                    continue
                if trials is not None and judged >= trials:
                    return
                judged += 1
                changed = self.member.copy()
                idle = np.flatnonzero(~self.member.any(axis=1))
                if i > 0 and idle.size:
                    changed[idle[0], :at] = changed[q, :at]
                    changed[q, :at] = False
                changed[q, self.trail(at)] = True
                makespan = self.judge(changed)
                if makespan < self.makespan:
                    self.member, self.makespan = changed, makespan

    def merge(self) -> None:
        """Move a whole list onto another processor wherever the makespan does not rise; O(p²) simulations."""
        problem = self.problem
        by_load = np.argsort(self.member.sum(axis=1), kind="stable")
        ports = free_ports(problem.p, problem.single)
        self.makespan = merge_lists(
            problem.g, problem.times, self.order, self.member, by_load, ports, self.earliest, self.tail,
            self.makespan, SLACK,
        )  # fmt: skip

    def insert(self) -> None:
        """Copy remote producers into the idle time of their consumers; kept if the makespan falls."""
        by_task = np.zeros(self.member.shape, np.bool_)
        by_task[:, self.order] = self.member
        insert_producers(self.problem.g, self.order, self.problem.times, by_task)
        changed = np.ascontiguousarray(by_task[:, self.order])
        makespan = self.judge(changed)
        if makespan < self.makespan:
            self.member, self.makespan = changed, makespan
