"""Shorthands for the two list-scheduling frames with their unused parts left empty."""

from __future__ import annotations

from typing import Any

import numpy as np

from trainmaster.dagsched.kernels.inorder import schedule_in_order
from trainmaster.dagsched.kernels.ports import free_ports
from trainmaster.dagsched.kernels.readyscan import schedule_ready
from trainmaster.dagsched.problem import Draft, Problem, one_copy_each


def in_order(
    problem: Problem,
    order: Any,
    *,
    insertion: bool,
    finish_counts: bool,
    bias: Any = None,
    group: Any = None,
    home: Any = None,
) -> Draft:
    """``schedule_in_order`` as a draft; without ``group`` every task is free to go anywhere."""
    columns = schedule_in_order(
        problem.g,
        order,
        problem.times,
        problem.p,
        insertion,
        finish_counts,
        bias,
        np.full(problem.n, -1, np.int64) if group is None else group,
        np.zeros(0, np.int64) if home is None else home,
        free_ports(problem.p, problem.single),
    )
    return one_copy_each(problem, *columns)


def by_scan(
    problem: Problem,
    priority: Any,
    rule: int,
    *,
    bias: Any = None,
    group: Any = None,
    busy: bool = False,
) -> Draft:
    """``schedule_ready`` as a draft; ``group`` numbers the parts from 0."""
    size = None if group is None else np.bincount(group)
    columns = schedule_ready(
        problem.g,
        priority,
        problem.times,
        problem.p,
        rule,
        bias,
        group,
        None if size is None else np.full(size.size, -1, np.int64),
        size,
        busy,
        free_ports(problem.p, problem.single),
    )
    return one_copy_each(problem, *columns)
