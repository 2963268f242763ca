"""Typed errors. Each carries its fields, a stable `code`, and a `remedy` a person can act on.

The edges translate them: problem+json over HTTP (`status`), one line and an exit code in the CLI.
"""

from __future__ import annotations

from typing import Any


class TrainmasterError(Exception):
    """Base of every error Trainmaster raises on purpose.

    `code` never changes for a kind of error; `fields` are the facts of this one; `remedy` says what to do.
    """

    code = "error"
    status = 500
    remedy = ""

    def __init__(self, message: str, *, remedy: str | None = None, **fields: Any) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields
        if remedy is not None:
            self.remedy = remedy

    def __str__(self) -> str:
        return self.message


class InvalidTask(TrainmasterError):
    """The task as described can never be right; `fields["field"]` names the culprit."""

    code = "invalid-task"
    status = 422


class Unplaceable(TrainmasterError):
    """No node, even empty, could ever hold one worker of the task."""

    code = "unplaceable"
    status = 422


class QuotaExceeded(TrainmasterError):
    """The user has as many queued tasks as the quota allows."""

    code = "quota-exceeded"
    status = 429
    remedy = "wait for queued tasks to start, cancel some, or ask an operator for a larger quota"


class UnknownTask(TrainmasterError):
    code = "unknown-task"
    status = 404
    remedy = "list the tasks there are with `trainmaster tasks --all`"


class UnknownNode(TrainmasterError):
    code = "unknown-node"
    status = 404
    remedy = "list the nodes there are with `trainmaster nodes`"


class UnknownProfile(TrainmasterError):
    code = "unknown-profile"
    status = 404


class UnknownPolicy(TrainmasterError):
    code = "unknown-policy"
    status = 422


class IllegalTransition(TrainmasterError):
    """The lifecycle table has no such move; in the core this is a defect, at the edge a conflict."""

    code = "illegal-transition"
    status = 409


class TaskEnded(TrainmasterError):
    """The request needs a live task, and this one has ended."""

    code = "task-ended"
    status = 409
    remedy = "submit it again as a new task"


class NotResizable(TrainmasterError):
    """The task cannot have that number of workers, or cannot change it while it runs."""

    code = "not-resizable"
    status = 409
    remedy = "submit it with --workers MIN..MAX, and either use trainmaster.train or add --elastic restart"


class IdempotencyConflict(TrainmasterError):
    code = "idempotency-conflict"
    status = 409
    remedy = "use a new idempotency key for a different task"


class InvariantBroken(TrainmasterError):
    """`scheduler.invariants` found the state inconsistent: a defect, never the user's fault."""

    code = "invariant-broken"


class StoreUnavailable(TrainmasterError):
    """The database does not answer. Nothing is lost: what was accepted waits until it returns."""

    code = "store-unavailable"
    status = 503
    remedy = "try again with the same idempotency key; `trainmaster doctor` says what the database answers"


class StoreFull(TrainmasterError):
    """The disk that holds the database or the logs is full."""

    code = "disk-full"
    status = 507
    remedy = "free space on the disk of the data folder; the service goes on by itself"


class StoreRefused(TrainmasterError):
    """The database refuses what it was given, and would again: a defect, or two services on one database."""

    code = "store-refused"
    remedy = "report this with the service's log; nothing of the refused change was stored"


class Deposed(TrainmasterError):
    """Another process leads now. Nothing of the refused change was stored."""

    code = "deposed"
    status = 503
    remedy = "try again with the same idempotency key: the new leader answers"


class NoLeader(TrainmasterError):
    """No process leads at the moment, and this request cannot wait for one."""

    code = "no-leader"
    status = 503
    remedy = "try again in a few seconds; submissions are accepted meanwhile"


class InvalidStoreUrl(TrainmasterError):
    """The address of the database cannot be used."""

    code = "invalid-store-url"
    status = 422
    remedy = "write it like sqlite:////var/lib/trainmaster/store.db, postgresql://... or mysql://..."


class InvalidQuery(TrainmasterError):
    """A search cannot be carried out as asked; `fields["field"]` names the culprit."""

    code = "invalid-query"
    status = 422


class CannotForecast(TrainmasterError):
    """The history and the settings allow no forecast; the message says why."""

    code = "cannot-forecast"
    status = 422
    remedy = "correct the [forecast] settings in trainmaster.toml; until then every node stays as it is"


class InvalidAlarmRule(TrainmasterError):
    """The rule as described can never be right; `fields["field"]` names the culprit."""

    code = "invalid-alarm-rule"
    status = 422


class InvalidChannel(TrainmasterError):
    """The channel as described can never carry anything; `fields["field"]` names the culprit."""

    code = "invalid-channel"
    status = 422


class UnknownAlarm(TrainmasterError):
    code = "unknown-alarm"
    status = 404
    remedy = "list the alarms there are with `trainmaster alarm list --all`"


class UnknownAlarmRule(TrainmasterError):
    code = "unknown-alarm-rule"
    status = 404
    remedy = "list the rules there are with `trainmaster alarm rules`"


class UnknownChannel(TrainmasterError):
    code = "unknown-channel"
    status = 404
    remedy = "list the channels there are with `trainmaster alarm channel list`"


class AddressForbidden(TrainmasterError):
    """A channel leads to an address of a private network, which nobody has allowed."""

    code = "address-forbidden"
    status = 422
    remedy = "if it is meant to, name its network in alarm_networks in trainmaster.toml"


class ChannelUnreachable(TrainmasterError):
    """Nothing answers where the channel leads, or not in time."""

    code = "channel-unreachable"
    status = 502
    remedy = "check its address; what was to be sent is tried again"


class ChannelRefused(TrainmasterError):
    """The other side answered, and does not take the message."""

    code = "channel-refused"
    status = 502
    remedy = "check the channel's settings; what was to be sent is tried again"


class InvalidWorkflow(TrainmasterError):
    """The workflow as described can never be right; `fields["field"]` names the culprit."""

    code = "invalid-workflow"
    status = 422


class CyclicWorkflow(InvalidWorkflow):
    """Stages wait for each other in a circle; `fields["cycle"]` names them in order."""

    code = "cyclic-workflow"
    remedy = "take one of the stages named out of the `after` of the next"


class UnknownStage(InvalidWorkflow):
    """A stage is named that the workflow does not have."""

    code = "unknown-stage"


class WrongParameter(TrainmasterError):
    """A parameter is missing, unknown, or of another type than the workflow declares."""

    code = "wrong-parameter"
    status = 422


class TooManyParts(TrainmasterError):
    """A stage would be divided into more parts than are allowed."""

    code = "too-many-parts"
    status = 422
    remedy = "give each part a slice of the list"


class ValueTooLarge(TrainmasterError):
    """What one stage hands to another is too large to be kept with the task."""

    code = "value-too-large"
    status = 422
    remedy = "write it to a file and hand over its path"


class MissingValue(TrainmasterError):
    """An expression names something that the values at hand do not have."""

    code = "missing-value"
    status = 422
    remedy = "see what the stage returned with `trainmaster workflow show`"


class UnknownWorkflow(TrainmasterError):
    code = "unknown-workflow"
    status = 404
    remedy = "list the workflows there are with `trainmaster workflow list`"


class UnknownWorkflowRun(TrainmasterError):
    code = "unknown-workflow-run"
    status = 404
    remedy = "list the runs there are with `trainmaster workflow list --runs`"


class WorkflowRunEnded(TrainmasterError):
    """The request needs a live workflow run, and this one has ended."""

    code = "workflow-run-ended"
    status = 409
    remedy = "run the workflow again, or resume the run from where it failed"


class NotResumable(TrainmasterError):
    """The workflow run has not ended, or has nothing left to do again."""

    code = "not-resumable"
    status = 409
    remedy = "run the workflow again"
