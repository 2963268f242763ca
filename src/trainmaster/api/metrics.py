"""What Prometheus sees, computed from the present when asked: nothing counts along."""

from __future__ import annotations

from collections import Counter

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from trainmaster.service.service import Service


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
    return generate_latest(registry), CONTENT_TYPE_LATEST
