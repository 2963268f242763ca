"""The fast copy is the general one."""

import dataclasses

import pytest

from tests.scenario import spec
from trainmaster.domain.ids import TaskId
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.replacing import replacer
from trainmaster.domain.task import Task, Urgency

TASK = Task(TaskId("t-1"), 1, spec(), TaskState.QUEUED, 1.0, Urgency.NORMAL, 2.0)


def test_it_equals_the_general_one_and_leaves_the_original_alone() -> None:
    changes = {"state": TaskState.RUNNING, "reason": "because", "started_at": 3.0}
    before = dataclasses.asdict(TASK)
    assert replacer(Task)(TASK, **changes) == dataclasses.replace(TASK, **changes)
    assert dataclasses.asdict(TASK) == before
    assert replacer(Task)(TASK) == TASK


def test_a_field_that_does_not_exist_is_refused() -> None:
    with pytest.raises(KeyError):
        replacer(Task)(TASK, stat=TaskState.RUNNING)
