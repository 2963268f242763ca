"""The life of a task. All transitions live in this one table; the diagram in the docs is drawn from it.

The table does not know who drives it: the live service and the simulator move tasks through the same moves.
"""

from __future__ import annotations

from enum import StrEnum

from trainmaster.domain.errors import IllegalTransition


class TaskState(StrEnum):
    SUBMITTED = "SUBMITTED"  # recorded, not looked at yet
    BLOCKED = "BLOCKED"  # waits for the tasks it depends on
    QUEUED = "QUEUED"  # could start as soon as there is room
    ACCEPTED = "ACCEPTED"  # nodes are chosen, the launch is recorded
    PREPARING = "PREPARING"  # a node pulls the image and sets up volumes
    RUNNING = "RUNNING"  # every worker of the attempt has started
    RESIZING = "RESIZING"  # runs on while workers join or leave
    INTERRUPTED = "INTERRUPTED"  # preempted, waits in the interrupt queue
    LOST = "LOST"  # its node vanished; becomes a retry or FAILED
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class Move(StrEnum):
    """What can happen to a task."""

    ADMIT = "admit"  # validated, and nothing it depends on is missing
    HOLD = "hold"  # a dependency has not ended yet
    RELEASE = "release"  # the last dependency ended well
    ACCEPT = "accept"  # placed on nodes
    PREPARE = "prepare"  # a node works on its images or volumes
    START = "start"  # all workers run (after a resize: again)
    RESIZE = "resize"  # the worker count is about to change
    INTERRUPT = "interrupt"  # preempted, and its workers are verifiably gone
    LOSE = "lose"  # its node is gone
    REQUEUE = "requeue"  # another attempt is allowed
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "cancel"  # by its owner, or because a dependency failed; its workers are verifiably gone


S, M = TaskState, Move

# How an attempt may end, whatever it was doing.
_ENDS: dict[Move, TaskState] = {
    M.SUCCEED: S.SUCCEEDED,
    M.FAIL: S.FAILED,
    M.CANCEL: S.CANCELLED,
    M.INTERRUPT: S.INTERRUPTED,
    M.REQUEUE: S.QUEUED,
    M.LOSE: S.LOST,
}

_TABLE: dict[TaskState, dict[Move, TaskState]] = {
    S.SUBMITTED: {M.ADMIT: S.QUEUED, M.HOLD: S.BLOCKED, M.CANCEL: S.CANCELLED},
    S.BLOCKED: {M.RELEASE: S.QUEUED, M.CANCEL: S.CANCELLED},
    S.QUEUED: {M.ACCEPT: S.ACCEPTED, M.CANCEL: S.CANCELLED, M.FAIL: S.FAILED},
    S.ACCEPTED: {M.PREPARE: S.PREPARING, M.START: S.RUNNING, **_ENDS},
    S.PREPARING: {M.START: S.RUNNING, **_ENDS},
    S.RUNNING: {M.RESIZE: S.RESIZING, **_ENDS},
    S.RESIZING: {M.START: S.RUNNING, **_ENDS},
    S.INTERRUPTED: {M.ACCEPT: S.ACCEPTED, M.CANCEL: S.CANCELLED, M.FAIL: S.FAILED},
    S.LOST: {M.REQUEUE: S.QUEUED, M.FAIL: S.FAILED, M.CANCEL: S.CANCELLED},
    S.SUCCEEDED: {},
    S.FAILED: {},
    S.CANCELLED: {},
}

ENDED = frozenset({S.SUCCEEDED, S.FAILED, S.CANCELLED})
WAITING = frozenset({S.SUBMITTED, S.BLOCKED, S.QUEUED, S.INTERRUPTED})
# States in which workers may be alive and hold resources.
OCCUPYING = frozenset({S.ACCEPTED, S.PREPARING, S.RUNNING, S.RESIZING})


def advance(state: TaskState, move: Move) -> TaskState:
    """The state after `move`. Raises IllegalTransition if the table has no such move."""
    try:
        return _TABLE[state][move]
    except KeyError:
        raise IllegalTransition(
            f"a task that is {state} cannot {move}", state=str(state), move=str(move)
        ) from None


def moves(state: TaskState) -> dict[Move, TaskState]:
    """The legal moves out of `state` and where they lead."""
    return dict(_TABLE[state])


def diagram() -> str:
    """The table as a Mermaid state diagram, so that the documentation cannot disagree with the code."""
    lines = ["stateDiagram-v2", "    [*] --> SUBMITTED"]
    for state, targets in _TABLE.items():
        by_target: dict[TaskState, list[str]] = {}
        for move, target in targets.items():
            by_target.setdefault(target, []).append(str(move))
        lines += [f"    {state} --> {target}: {', '.join(names)}" for target, names in by_target.items()]
    lines += [f"    {state} --> [*]" for state in TaskState if state in ENDED]
    return "\n".join(lines) + "\n"
