"""Forward-backward improvement of a list schedule."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainmaster.dagsched.errors import OptionError
from trainmaster.dagsched.improve.deduplicate import tighten
from trainmaster.dagsched.kernels.arrays import Arrays
from trainmaster.dagsched.kernels.inorder import schedule_in_order
from trainmaster.dagsched.kernels.ports import free_ports
from trainmaster.dagsched.kernels.ranks import priority_order
from trainmaster.dagsched.problem import Draft, Problem, one_copy_each
from trainmaster.dagsched.registry import run


def forward_backward(problem: Problem, *, start_from: str = "heft", rounds: int = 20) -> Draft:
    """Schedule the reversed graph in the order the last schedule ends, then the graph again, and so on.

    Li & Willis, European J. Oper. Res. 56 (1992), adapted to communication: each pass places tasks by
    earliest finish with gaps, in the order of the other pass's finish times. ``start_from``: the
    algorithm that gives the first schedule (its first copies); at most ``rounds`` double passes, ended
    by the first that improves nothing twice running. Never worse than ``start_from`` without copies.
    """
    if rounds < 0:
        raise OptionError("rounds", rounds, "must not be negative")
    if start_from in ("auto", "forward_backward", "local_search"):
        raise OptionError(
            "start_from", start_from, "must be an algorithm that does not itself improve others"
        )
    return improve_both_ways(problem, run(start_from, problem, {}), rounds)


def improve_both_ways(problem: Problem, draft: Draft, rounds: int, target: float = 0.0) -> Draft:
    """The best of ``draft`` and what ``rounds`` forward-backward passes make of it; stops at ``target``."""
    best = draft
    finish = np.full(problem.n, np.inf)
    # Of several copies the first to finish stands for the task.
    np.minimum.at(finish, draft.task, draft.finish)
    stale = 0
    done = 0
    for _ in range(rounds):
        if best.makespan <= target or stale >= 2:
            break
        done += 1
        before = best.makespan
        processor, start, finish, _ = _pass(problem, problem.g.reversed(), finish, single=False)
        if not problem.single:
            # The mirror image of a multi-port schedule of the reversed graph is one of the graph.
            span = finish.max()
            image = one_copy_each(
                problem, processor, span - finish, span - start, np.empty(0), **draft.report
            )
            if image.makespan < best.makespan:
                best = tighten(problem, image)
        here = one_copy_each(
            problem, *_pass(problem, problem.g, finish, single=problem.single), **draft.report
        )
        if here.makespan < best.makespan:
            best = here
        finish = here.finish
        stale = stale + 1 if best.makespan >= before else 0
    best.report["passes"] = done
    return best


def _pass(problem: Problem, g: Arrays, finish: Any, *, single: bool) -> Any:
    """Earliest finish with gaps, tasks in the order in which the pass the other way ends them, last first."""
    return schedule_in_order(
        g,
        priority_order(g, finish),
        problem.times,
        problem.p,
        True,
        True,
        None,
        np.full(problem.n, -1, np.int64),
        np.zeros(0, np.int64),
        free_ports(problem.p, single),
    )
