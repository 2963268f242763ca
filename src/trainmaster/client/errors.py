"""The service's errors as exceptions again, and those of the way to it."""

from __future__ import annotations

from typing import Any

from trainmaster.domain import errors as domain
from trainmaster.domain import firing, trigger
from trainmaster.domain.errors import TrainmasterError


class Unreachable(TrainmasterError):
    """No service answers at this address; `fields["url"]` has it."""

    code = "unreachable"
    status = 503
    remedy = "start one with `trainmaster up`, or say where it is with --url or TRAINMASTER_URL"


class Refused(TrainmasterError):
    """The service refused the request for a reason that has no class of its own; see `code` and `status`."""

    code = "refused"
    status = 400


class WaitTimeout(TrainmasterError):
    """The task had not ended in time. It goes on."""

    code = "wait-timeout"
    status = 504
    remedy = "wait longer, or cancel the task"


class TaskFailed(TrainmasterError):
    """A task that had to succeed did not; `fields["task"]` and `fields["state"]` say more."""

    code = "task-failed"
    status = 500
    remedy = "see `trainmaster logs` and `trainmaster explain` of it"


# Every class of the domain by its code: an error caught here is the one raised there.
_BY_CODE: dict[str, type[TrainmasterError]] = {
    cls.code: cls
    for module in (domain, trigger, firing)
    for cls in vars(module).values()
    if isinstance(cls, type) and issubclass(cls, TrainmasterError) and cls is not TrainmasterError
}


def from_problem(status: int, body: Any) -> TrainmasterError:
    """The exception that a problem+json body describes; `Refused` if its code is not known here."""
    if not isinstance(body, dict) or "code" not in body:
        return Refused(
            f"the service answered {status} without saying why",
            remedy="is this the address of a Trainmaster?",
            status=status,
        )
    code, fields = str(body["code"]), body.get("fields") or {}
    cls = _BY_CODE.get(code, Refused)
    reserved = ("message", "remedy", "self")
    error = cls(
        str(body.get("detail", code)),
        remedy=str(body.get("remedy", "")) or None,
        **{str(name): value for name, value in fields.items() if name not in reserved},
    )
    error.code, error.status = code, status
    return error
