"""From an accepted task to the orders for its nodes."""

from __future__ import annotations

from trainmaster.domain.ids import NodeId
from trainmaster.domain.run import Run, RunSpec
from trainmaster.domain.task import Part, Task
from trainmaster.scheduler.state import Limits, State


def run_spec(state: State, task: Task, run: Run) -> RunSpec:
    """The orders for one worker. A function of recorded facts only, so it can be issued again after a crash.

    Tasks that may have several workers get torchrun's variables unless the task sets them itself. One that
    joins a group later does not: the group's plan says where to meet.
    """
    spec = task.spec
    environment = spec.environment
    if spec.max_workers > 1 and task.group is None:
        given = {name for name, _ in environment}
        defaults = _meeting_point(state, task, run)
        environment = tuple(pair for pair in defaults if pair[0] not in given) + environment
    if spec.part is not None:
        environment = _place_in_workflow(spec.part) + environment
    return RunSpec(
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


def _place_in_workflow(part: Part) -> tuple[tuple[str, str], ...]:
    """What a task may want to know of its workflow run."""
    place = [("TRAINMASTER_WORKFLOW_RUN", str(part.run)), ("TRAINMASTER_STAGE", part.stage)]
    if part.key:
        place.append(("TRAINMASTER_SHARD", str(part.index)))
    if part.total is not None:
        place.append(("TRAINMASTER_SHARDS", str(part.total)))
    return tuple(place)


def _meeting_point(state: State, task: Task, run: Run) -> tuple[tuple[str, str], ...]:
    """What torchrun tells its workers: its groups are nodes here, its restarts attempts.

    A worker with GPUs is a group of its own: it sees no others, so the script's `cuda:{LOCAL_RANK}` is its
    first.
    """
    siblings = state.runs[task.id]
    first = state.nodes.get(siblings[0].node)

    def group(of: Run) -> tuple[NodeId, int]:
        return of.node, of.id.rank if of.devices else -1

    groups = list(dict.fromkeys(group(siblings[rank]) for rank in sorted(siblings)))
    here = [rank for rank, other in siblings.items() if group(other) == group(run)]
    rank, world = str(run.id.rank), str(task.workers)
    return (
        ("RANK", rank),
        ("LOCAL_RANK", str(sum(other < run.id.rank for other in here))),
        ("WORLD_SIZE", world),
        ("LOCAL_WORLD_SIZE", str(len(here))),
        ("GROUP_RANK", str(groups.index(group(run)))),
        ("GROUP_WORLD_SIZE", str(len(groups))),
        ("ROLE_NAME", "default"),
        ("ROLE_RANK", rank),
        ("ROLE_WORLD_SIZE", world),
        ("MASTER_ADDR", first.address if first else "127.0.0.1"),
        ("MASTER_PORT", str(meeting_port(state.limits, task))),
        ("TORCHELASTIC_RUN_ID", task.id),
        ("TORCHELASTIC_RESTART_COUNT", str(task.attempt - 1)),
        ("TORCHELASTIC_MAX_RESTARTS", str(task.spec.retry.attempts)),
    )


def meeting_port(limits: Limits, task: Task) -> int:
    """Where the workers of this attempt meet. Differs between neighbours in time, since both numbers rise."""
    return limits.port_base + (task.seq * 7 + task.attempt) % limits.port_count
