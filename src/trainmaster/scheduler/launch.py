"""From an accepted task to the orders for its nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trainmaster.domain.ids import NodeId
from trainmaster.domain.replacing import replacer
from trainmaster.domain.run import Run, RunSpec
from trainmaster.domain.task import Part, Task
from trainmaster.scheduler.state import Limits, State

_specified = replacer(RunSpec)


def run_specs(state: State, task: Task, runs: Iterable[Run]) -> Iterator[RunSpec]:
    """The orders for some workers of the present attempt.

    A function of recorded facts only, so they can be issued again after a crash.

    Tasks that may have several workers get torchrun's variables unless the task sets them itself. One that
    joins a group later does not: the group's plan says where to meet.
    """
    spec = task.spec
    place = _place_in_workflow(spec.part) if spec.part is not None else ()
    meeting = _MeetingPoint(state, task) if spec.max_workers > 1 and task.group is None else None
    given = {name for name, _ in spec.environment}
    first: RunSpec | None = None
    for run in runs:
        meet = meeting.variables(run) if meeting is not None else ()
        environment = (*place, *(pair for pair in meet if pair[0] not in given), *spec.environment)
        if first is not None:
            yield _specified(first, id=run.id, devices=run.devices, environment=environment)
            continue
        first = RunSpec(
            id=run.id,
            kind=spec.kind,
            command=spec.command,
            function=spec.function,
            arguments=spec.arguments,
            image=spec.image,
            directory=spec.directory,
            volumes=spec.volumes,
            environment=environment,
            network=spec.network,
            resources=spec.resources,
            devices=run.devices,
            grace_s=spec.grace_s,
            priority=(int(task.urgency), task.priority),
            world_size=task.workers,
            warm=spec.max_workers > 1 or task.group is not None,
            not_before=spec.start_at if spec.start_at is not None and spec.handed_ahead else 0.0,
        )
        yield first


def _place_in_workflow(part: Part) -> tuple[tuple[str, str], ...]:
    """What a task may want to know of its workflow run."""
    place = [("TRAINMASTER_WORKFLOW_RUN", str(part.run)), ("TRAINMASTER_STAGE", part.stage)]
    if part.key:
        place.append(("TRAINMASTER_SHARD", str(part.index)))
    if part.total is not None:
        place.append(("TRAINMASTER_SHARDS", str(part.total)))
    return tuple(place)


class _MeetingPoint:
    """What torchrun tells its workers: its groups are nodes here, its restarts attempts.

    A worker with GPUs is a group of its own: it sees no others, so the script's `cuda:{LOCAL_RANK}` is its
    first.
    """

    def __init__(self, state: State, task: Task) -> None:
        siblings = state.runs[task.id]
        # Ranks by group, the groups in the order of their first rank.
        self._here: dict[tuple[NodeId, int], list[int]] = {}
        for rank in sorted(siblings):
            self._here.setdefault(_group(siblings[rank]), []).append(rank)
        self._order = {group: at for at, group in enumerate(self._here)}
        first = state.nodes.get(siblings[0].node)
        world = str(task.workers)
        self._world = ("WORLD_SIZE", world)
        self._groups = ("GROUP_WORLD_SIZE", str(len(self._here)))
        self._role = ("ROLE_NAME", "default")
        self._same = (
            ("ROLE_WORLD_SIZE", world),
            ("MASTER_ADDR", first.address if first else "127.0.0.1"),
            ("MASTER_PORT", str(meeting_port(state.limits, task))),
            ("TORCHELASTIC_RUN_ID", task.id),
            ("TORCHELASTIC_RESTART_COUNT", str(task.attempt - 1)),
            ("TORCHELASTIC_MAX_RESTARTS", str(task.spec.retry.attempts)),
        )

    def variables(self, run: Run) -> tuple[tuple[str, str], ...]:
        group, rank = _group(run), str(run.id.rank)
        here = self._here[group]
        return (
            ("RANK", rank),
            ("LOCAL_RANK", str(here.index(run.id.rank))),
            self._world,
            ("LOCAL_WORLD_SIZE", str(len(here))),
            ("GROUP_RANK", str(self._order[group])),
            self._groups,
            self._role,
            ("ROLE_RANK", rank),
            *self._same,
        )


def _group(run: Run) -> tuple[NodeId, int]:
    return run.node, run.id.rank if run.devices else -1


def meeting_port(limits: Limits, task: Task) -> int:
    """Where the workers of this attempt meet. Differs between neighbours in time, since both numbers rise."""
    return limits.port_base + (task.seq * 7 + task.attempt) % limits.port_count
