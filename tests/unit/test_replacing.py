"""The fast copy is the general one, and the fast `__init__` the usual one."""

import dataclasses
from typing import Any

import pytest

from tests.scenario import spec
from trainmaster.domain.ids import TaskId
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.replacing import quick, replacer
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


def _sample(decorated: Any) -> Any:
    @decorated
    @dataclasses.dataclass(frozen=True, slots=True)
    class Sample:
        first: int
        second: str = "two"
        third: dict[str, int] = dataclasses.field(default_factory=dict)

        def __post_init__(self) -> None:
            if self.first < 0:
                raise ValueError(self.first)

    return Sample


def test_a_quick_class_is_made_like_any_other() -> None:
    usual, fast = _sample(lambda cls: cls), _sample(quick)
    for args, named in [((1,), {}), ((1, "a", {"b": 2}), {}), ((), {"third": {"c": 3}, "first": 4})]:
        assert dataclasses.astuple(fast(*args, **named)) == dataclasses.astuple(usual(*args, **named))
    assert fast(1).third is not fast(1).third, "a default that is made is made anew"
    assert dataclasses.replace(fast(1), first=2) == fast(2)
    with pytest.raises(dataclasses.FrozenInstanceError):
        fast(1).first = 2
    with pytest.raises(ValueError):
        fast(-1)
    for wrong in (lambda: fast(), lambda: fast(1, fourth=4)):
        with pytest.raises(TypeError):
            wrong()
