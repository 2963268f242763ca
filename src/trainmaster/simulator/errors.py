"""Errors of the simulator. Each names what is wrong, where, and the remedy."""

from __future__ import annotations

from trainmaster.domain.errors import TrainmasterError
from trainmaster.domain.units import format_duration


class BadWorkload(TrainmasterError):
    """A row of a workload cannot be read; `fields` has its source, line and field."""

    code = "bad-workload"
    status = 422

    def __init__(self, source: str, line: int, field: str, problem: str) -> None:
        super().__init__(
            f"{source}, line {line}: {field} {problem}",
            remedy="correct the row, or remove it",
            source=source,
            line=line,
            field=field,
        )


class UnknownApplication(TrainmasterError):
    """A workload names an application there is no profile of."""

    code = "unknown-application"
    status = 422

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(
            f"there is no profile of the application {name!r}",
            remedy=f"use one of {', '.join(known) or '(none found)'}, or add its curves",
            name=name,
        )


class BadCurve(TrainmasterError):
    """A profiled curve is empty, has a hole where it is asked, or holds a value that cannot be."""

    code = "bad-curve"
    status = 422

    def __init__(self, curve: str, problem: str, remedy: str = "measure the missing points") -> None:
        super().__init__(f"{curve}: {problem}", remedy=remedy, curve=curve)


class BadSetting(TrainmasterError):
    """A setting of a simulation is out of its range."""

    code = "bad-setting"
    status = 422

    def __init__(self, name: str, value: object, wanted: str) -> None:
        super().__init__(f"{name}: {value!r} is not {wanted}", remedy=f"give {wanted}", name=name)


class EmptyHistory(TrainmasterError):
    """There is nothing to replay in the window asked for."""

    code = "empty-history"
    status = 404

    def __init__(self, seconds: float, never_started: int = 0) -> None:
        hint = f" ({never_started} were there, but never started)" if never_started else ""
        super().__init__(
            f"no task ran within the last {format_duration(seconds)}{hint}",
            remedy="ask for a longer time with --last, or wait until something has run",
            seconds=seconds,
            never_started=never_started,
        )


class CannotReplay(TrainmasterError):
    """A replay came to no end, or to a bad one."""

    code = "cannot-replay"
    status = 422
    remedy = "ask for a shorter time, or for other nodes"


class Stalled(TrainmasterError):
    """Nothing will ever happen again, and there are tasks left."""

    code = "stalled"
    status = 409

    def __init__(self, time: float, tasks: list[str]) -> None:
        super().__init__(
            f"at {time:g} s nothing more will happen, but {len(tasks)} tasks have not ended, "
            f"first {tasks[0]}",
            remedy="give the cluster nodes that can hold them, or tasks a policy will ever start",
            time=time,
            tasks=tasks[:10],
        )


class Standstill(TrainmasterError):
    """Virtual time cannot go on: nobody waits for any moment, or somebody computes and never ends."""

    code = "standstill"
    status = 500

    def __init__(self, time: float, awake: list[str]) -> None:
        why = f"{', '.join(awake[:5])} neither ends nor waits" if awake else "nobody waits for anything"
        super().__init__(
            f"virtual time stands still at {time:g} s: {why}",
            remedy="look into the logs of the runs, or end what hangs",
            time=time,
            awake=awake,
        )
