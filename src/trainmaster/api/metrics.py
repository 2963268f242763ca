"""What Prometheus sees, computed from the present when asked: nothing counts along."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from trainmaster.service.service import Service

Make = Callable[..., Gauge]


def _sizing(service: Service, gauge: Make) -> None:
    sizing = service.sizing
    nodes = gauge("sizing_nodes", "Nodes on, asleep (drained by sizing) and wanted", "kind")
    nodes.labels("on").set(len(sizing.standing.on))
    nodes.labels("asleep").set(len(sizing.standing.asleep))
    gauge("sizing_applied", "1 if recommendations are acted on").set(sizing.knobs.apply)
    outlook = sizing.outlook
    if outlook is None:
        return
    if outlook.wanted is not None:
        nodes.labels("wanted").set(outlook.wanted)
    coming = outlook.coming[0]
    tasks = gauge("forecast_tasks", "Tasks forecast for the running interval, by bound", "bound")
    for bound, value in (("point", coming.tasks), ("lower", coming.lower), ("upper", coming.upper)):
        if value is not None:
            tasks.labels(bound).set(value)
    gauge("forecast_made", "When the forecast was made, epoch seconds").set(outlook.at)
    if outlook.fit.error is not None:
        gauge("forecast_error", "wMAPE one interval ahead, 0..1").set(outlook.fit.error / 100)
    if outlook.capacity is not None:
        gauge("node_tasks", "Tasks one node completes per interval").set(outlook.capacity)


def exposition(service: Service) -> tuple[bytes, str]:
    """The text format and its content type."""
    registry = CollectorRegistry()

    def gauge(name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"trainmaster_{name}", text, labels, registry=registry)

    tasks = gauge("live_tasks", "Tasks that have not ended, by state", "state")
    for state, count in Counter(task.state for task in service.state.tasks.values()).items():
        tasks.labels(state).set(count)
    gauge("ready_tasks", "Tasks that could start now").set(len(service.state.ready))
    gauge("scheduler_steps", "Scheduler steps since start").set(service.loop.steps)
    gauge("store_available", "1 if the database takes writes").set(service.loop.trouble is None)
    used = gauge("node_used", "Given away, by node and resource (cores, bytes, devices)", "node", "resource")
    capacity = gauge("node_capacity", "Offered, by node and resource", "node", "resource")
    busy = gauge("node_utilisation", "Measured utilisation 0..1", "node", "resource")
    up = gauge("node_up", "1 if the node takes work", "node")
    for node in service.nodes():
        taken = service.used(node.id)
        for name, have, given in (
            ("cpu", node.capacity.cpu_m / 1000, taken.cpu_m / 1000),
            ("memory", node.capacity.memory, taken.memory),
            ("gpu", node.capacity.gpus, taken.gpus),
        ):
            used.labels(node.id, name).set(given)
            capacity.labels(node.id, name).set(have)
        busy.labels(node.id, "cpu").set(node.gauges.cpu)
        busy.labels(node.id, "memory").set(node.gauges.memory)
        up.labels(node.id).set(node.state == "UP")
    _sizing(service, gauge)
    return generate_latest(registry), CONTENT_TYPE_LATEST
