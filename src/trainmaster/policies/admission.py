"""Who may submit, and who may start."""

from __future__ import annotations

from collections.abc import Iterable

from trainmaster.domain.cluster import Node, Quota
from trainmaster.domain.errors import QuotaExceeded, Unplaceable
from trainmaster.domain.task import TaskKind, TaskSpec


def check_quota(spec: TaskSpec, quota: Quota | None, queued: int) -> None:
    """Raise QuotaExceeded if `queued` tasks of this user already wait and the quota allows no more."""
    if quota is not None and quota.queued_tasks is not None and queued >= quota.queued_tasks:
        raise QuotaExceeded(
            f"{spec.user} has {queued} queued tasks, the quota is {quota.queued_tasks}",
            user=str(spec.user),
            queued=queued,
            quota=quota.queued_tasks,
        )


def may_start(quota: Quota | None, running_workers: int, workers: int) -> bool:
    """Would `workers` more stay within the user's quota of running workers?"""
    return (
        quota is None or quota.running_workers is None or running_workers + workers <= quota.running_workers
    )


def misfit(spec: TaskSpec, node: Node) -> str | None:
    """Why one worker could never run on `node`, even if it were empty; None if it could."""
    labels = dict(node.labels)
    for name, value in spec.node_labels:
        if labels.get(name) != value:
            return f"no label {name}={value}"
    if spec.kind is TaskKind.CONTAINER and not node.containers:
        return "no container engine"
    need, have = spec.resources, node.capacity
    if need.gpus > have.gpus:
        return "no GPU" if have.gpus == 0 else f"only {have.gpus} GPU" + ("s" if have.gpus > 1 else "")
    if need.cpu_m > have.cpu_m:
        return f"only {have.cpu_m / 1000:g} cores"
    if need.memory > have.memory:
        return f"only {have.memory / 1e9:.3g} GB memory"
    if need.lanes > have.lanes:
        return "no lanes"
    return None


def check_placeable(spec: TaskSpec, nodes: Iterable[Node]) -> None:
    """Raise Unplaceable if no known node could ever hold one worker, or all together not `min_workers`.

    With no node known yet everything passes: nodes may still be joining.
    """
    nodes = list(nodes)
    if not nodes:
        return
    able = [node for node in nodes if misfit(spec, node) is None]
    if not able:
        need = spec.resources
        if need.gpus and need.gpus > (most := max(node.capacity.gpus for node in nodes)):
            at = ", ".join(sorted(node.id for node in nodes if node.capacity.gpus == most)[:4])
            problem = f"{need.gpus} GPUs asked for, the largest node has {most} ({at})"
            remedy = (
                f"ask for fewer, or spread it: --workers {need.gpus} --gpus 1" if most else "ask for none"
            )
        elif need.cpu_m > (cores := max(node.capacity.cpu_m for node in nodes)):
            asked = f"{need.cpu_m / 1000:g} core" + ("" if need.cpu_m == 1000 else "s")
            problem = f"{asked} asked for, the largest node has {cores / 1000:g}"
            remedy = "ask for fewer cores per worker"
        elif need.memory > (memory := max(node.capacity.memory for node in nodes)):
            problem = (
                f"{need.memory / 1e9:.3g} GB memory asked for, the largest node has {memory / 1e9:.3g} GB"
            )
            remedy = "ask for less memory per worker"
        else:
            problem = "; ".join(f"{node.id}: {misfit(spec, node)}" for node in nodes[:4])
            remedy = "see what the nodes offer with `trainmaster nodes`"
        raise Unplaceable(f"no node can ever run this: {problem}", remedy=remedy)
    room = sum(spec.resources.times_fitting(node.capacity) for node in able)
    if room < spec.min_workers:
        raise Unplaceable(
            f"the cluster can never run this: {spec.min_workers} workers asked for, it holds at most {room}",
            remedy=f"ask for at most {room} workers, or for less per worker",
        )
