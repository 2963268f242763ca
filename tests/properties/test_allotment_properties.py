"""Whatever the claims: no allotment policy over-allots, starves a minimum, or moves what must not be
moved."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainmaster.domain.ids import NodeId, TaskId, UserName
from trainmaster.domain.learned import Learned, learn
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.task import Task, TaskSpec, Urgency
from trainmaster.domain.units import Resources
from trainmaster.policies.base import AllotmentView, Claim, Foreknowledge, NodeView
from trainmaster.policies.registry import ALLOTMENTS
from trainmaster.simulator.rounds import check

GPU = Resources(gpus=1)


@st.composite
def views(draw: Any) -> AllotmentView:
    nodes, claims, held = draw(st.integers(1, 8)), [], 0
    size = nodes * 4
    for seq in range(1, draw(st.integers(1, 12)) + 1):
        least = draw(st.integers(1, 4))
        most = least + draw(st.integers(0, 6))
        workers = draw(st.sampled_from([0, least, most]))
        if held + workers > size:
            workers = 0
        held += workers
        learned = Learned()
        loss = draw(st.floats(0.1, 10))
        for k in range(draw(st.integers(0, 6))):
            loss *= draw(st.floats(0.5, 1.1))
            metrics = {"loss": loss, "accuracy": 1 - loss / 11, "samples_s": draw(st.floats(0.1, 1000))}
            learned = learn(learned, 10.0 * k, 100.0 * k, draw(st.integers(1, most)), metrics)
        known = None
        if draw(st.booleans()):
            rates = draw(st.lists(st.floats(0.01, 100), min_size=most, max_size=most))
            known = Foreknowledge(tuple(rates), draw(st.none() | st.floats(0.1, 1e6)))
        spec = TaskSpec(
            "t", command=("t",), resources=GPU, min_workers=least, max_workers=most,
            user=UserName(draw(st.sampled_from(["ann", "bob"]))), preemptible=draw(st.booleans()),
        )  # fmt: skip
        task = Task(
            TaskId(f"t-{seq}"), seq, spec, TaskState.RUNNING if workers else TaskState.QUEUED, 0.0,
            draw(st.sampled_from(Urgency)), 0.0, workers=workers,
            started_at=draw(st.floats(0, 50)) if workers else None, ran_s=draw(st.floats(0, 1e5)),
        )  # fmt: skip
        movable = not workers or draw(st.booleans())
        claims.append(Claim(task, workers, least, most, movable, learned, draw(st.floats(0, 30)), known))
    claims.sort(key=lambda claim: not claim.workers)
    shown = [NodeView(NodeId(f"n{i}"), GPU * 4, GPU * 0, 0.0, 0.0, 0, i) for i in range(nodes)]
    return AllotmentView(60.0, claims, GPU * (size - held), shown)


# `fixed` says what each task should have whether or not it fits: placing it decides.
@pytest.mark.parametrize("name", sorted(set(ALLOTMENTS) - {"fixed"}))
@given(view=views())
@settings(max_examples=40, deadline=None)
def test_gives_what_there_is_within_bounds(name: str, view: AllotmentView) -> None:
    policy = ALLOTMENTS[name]()
    first = policy.allot(view)
    check(view, first, policy.suspends)
    assert dict(policy.allot(view)) == dict(first), "a policy keeps nothing between calls"
