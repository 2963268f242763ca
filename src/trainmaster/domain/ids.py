"""Names of things. A run id carries its attempt, so every report can be fenced."""

from __future__ import annotations

from typing import NamedTuple, NewType

TaskId = NewType("TaskId", str)
NodeId = NewType("NodeId", str)
UserName = NewType("UserName", str)
TriggerId = NewType("TriggerId", str)
WorkflowRunId = NewType("WorkflowRunId", str)

# Crockford's base 32: no i, l, o, u, so an id can be read aloud and typed.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_ID_DIGITS = 10


def task_id(entropy: int) -> TaskId:
    """Make a task id from at least 50 random bits (the caller's, since the core has no chance of its own)."""
    return TaskId("t-" + _digits(entropy))


def trigger_id(entropy: int) -> TriggerId:
    """Make a trigger id from at least 50 random bits."""
    return TriggerId("g-" + _digits(entropy))


def workflow_run_id(entropy: int) -> WorkflowRunId:
    """Make the id of a workflow run, as `task_id` does."""
    return WorkflowRunId("w-" + _digits(entropy))


def _digits(entropy: int) -> str:
    digits = []
    for _ in range(_ID_DIGITS):
        digits.append(_ALPHABET[entropy & 31])
        entropy >>= 5
    return "".join(digits)


class RunId(NamedTuple):
    """One worker (`rank`) of one attempt of one task; prints as `task.attempt.rank`."""

    task: TaskId
    attempt: int
    rank: int

    def __str__(self) -> str:
        return f"{self.task}.{self.attempt}.{self.rank}"

    @classmethod
    def parse(cls, text: str) -> RunId:
        """Inverse of `str`. Raises ValueError for anything else."""
        task, attempt, rank = text.rsplit(".", 2)
        return cls(TaskId(task), int(attempt), int(rank))
