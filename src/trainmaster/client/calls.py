"""Every request of the HTTP interface as a value, for the plain and the async client alike."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from trainmaster.client import types
from trainmaster.client import workflow_types as flows
from trainmaster.client.build import build, build_all

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """`repeatable`: sending it twice does what sending it once does."""

    method: str
    path: str
    parse: Callable[[Any], T]
    params: Mapping[str, Any] = field(default_factory=dict)
    json: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True


def _one(cls: type[T]) -> Callable[[Any], T]:
    return lambda data: build(cls, data)


def _many(cls: type[T]) -> Callable[[Any], list[T]]:
    return lambda data: build_all(cls, data)


def _params(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None and value != []}


def _part(text: str) -> str:
    """One segment of a path, whatever characters it has."""
    return quote(text, safe="") or "%20"


# --- tasks -----------------------------------------------------------------------------------------------


def submit(fields: Mapping[str, Any], key: str | None) -> Call[types.Task]:
    """Without a key, one is made: a repeated request then answers with the first task."""
    headers = {"Idempotency-Key": key or os.urandom(16).hex()}
    return Call("POST", "/v1/tasks", _one(types.Task), json=dict(fields), headers=headers)


def submit_many(tasks: Iterable[Mapping[str, Any]]) -> Call[list[types.Submitted]]:
    return Call(
        "POST",
        "/v1/tasks/batch",
        lambda data: build_all(types.Submitted, data["tasks"]),
        json={"tasks": [dict(task) for task in tasks]},
        repeatable=False,
    )


def task(task: str) -> Call[types.Task]:
    return Call("GET", f"/v1/tasks/{_part(task)}", _one(types.Task))


def task_page(
    states: Iterable[str], user: str | None, text: str | None, limit: int, before: int | None
) -> Call[types.TaskPage]:
    params = _params(state=list(states), user=user, text=text, limit=limit, before=before)
    return Call("GET", "/v1/tasks", _one(types.TaskPage), params)


def cancel(task: str) -> Call[types.Task]:
    return Call("POST", f"/v1/tasks/{_part(task)}/cancel", _one(types.Task), repeatable=False)


def priority(task: str, bumps: int, value: float | None, urgency: str | None) -> Call[types.Task]:
    body = _params(bumps=bumps, priority=value, urgency=urgency)
    path = f"/v1/tasks/{_part(task)}/priority"
    return Call("POST", path, _one(types.Task), json=body, repeatable=not bumps)


def resize(task: str, workers: int | None) -> Call[types.Task]:
    path = f"/v1/tasks/{_part(task)}/resize"
    return Call("POST", path, _one(types.Task), json={"workers": workers}, repeatable=True)


def explain(task: str) -> Call[types.Explanation]:
    return Call("GET", f"/v1/tasks/{_part(task)}/explain", _one(types.Explanation))


def expected(task: str) -> Call[types.Expected]:
    return Call("GET", f"/v1/tasks/{_part(task)}/expected", _one(types.Expected))


def runs(task: str) -> Call[list[types.Run]]:
    return Call("GET", f"/v1/tasks/{_part(task)}/runs", _many(types.Run))


def metrics(task: str, after: float, limit: int) -> Call[list[types.Metric]]:
    params = _params(after=after, limit=limit)
    return Call("GET", f"/v1/tasks/{_part(task)}/metrics", _many(types.Metric), params)


# --- triggers --------------------------------------------------------------------------------------------


def add_trigger(fields: Mapping[str, Any]) -> Call[types.Trigger]:
    return Call("POST", "/v1/triggers", _one(types.Trigger), json=dict(fields), repeatable=False)


def trigger_list(coming: int) -> Call[list[types.Trigger]]:
    return Call("GET", "/v1/triggers", _many(types.Trigger), _params(coming=coming))


def trigger(trigger: str, coming: int) -> Call[types.Trigger]:
    return Call("GET", f"/v1/triggers/{_part(trigger)}", _one(types.Trigger), _params(coming=coming))


def change_trigger(trigger: str, fields: Mapping[str, Any]) -> Call[types.Trigger]:
    return Call("PATCH", f"/v1/triggers/{_part(trigger)}", _one(types.Trigger), json=dict(fields))


def pause_trigger(trigger: str, paused: bool) -> Call[types.Trigger]:
    deed = "pause" if paused else "resume"
    return Call("POST", f"/v1/triggers/{_part(trigger)}/{deed}", _one(types.Trigger))


def run_trigger(trigger: str) -> Call[types.Firing]:
    return Call("POST", f"/v1/triggers/{_part(trigger)}/run", _one(types.Firing), repeatable=False)


def backfill(trigger: str, since: float, until: float, start: bool) -> Call[types.Backfill]:
    """Repeatable: what has fired is left out."""
    body = {"since": since, "until": until, "start": start}
    return Call("POST", f"/v1/triggers/{_part(trigger)}/backfill", _one(types.Backfill), json=body)


def delete_trigger(trigger: str) -> Call[None]:
    return Call("DELETE", f"/v1/triggers/{_part(trigger)}", lambda _: None, repeatable=False)


def firings(
    trigger: str | None,
    since: float | None,
    before: float | None,
    outcomes: Iterable[str],
    limit: int,
) -> Call[list[types.Firing]]:
    path = "/v1/firings" if trigger is None else f"/v1/triggers/{_part(trigger)}/firings"
    params = _params(since=since, before=before, outcome=list(outcomes), limit=limit)
    return Call("GET", path, _many(types.Firing), params)


# --- logs ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LogFilter:
    """All that is given must hold. `streams`: of STDOUT, STDERR, RAW, PROGRESS; times in epoch seconds."""

    streams: tuple[str, ...] = ()
    attempt: int | None = None
    rank: int | None = None
    since: float | None = None
    until: float | None = None
    text: str | None = None
    regex: bool = False

    def params(self) -> dict[str, Any]:
        return _params(
            stream=list(self.streams),
            attempt=self.attempt,
            rank=self.rank,
            since=self.since,
            until=self.until,
            text=self.text,
            regex=self.regex or None,
        )


EVERYTHING = LogFilter()


def log_page(
    task: str, wanted: LogFilter, limit: int, before: int | None, after: int | None
) -> Call[types.LogPage]:
    params = wanted.params() | _params(limit=limit, before=before, after=after)
    return Call("GET", f"/v1/tasks/{_part(task)}/logs", _one(types.LogPage), params)


def log_stream(task: str, wanted: LogFilter, tail: int, after: int | None) -> Call[list[types.LogLine]]:
    params = wanted.params() | _params(tail=tail, after=after)
    for unknown in ("since", "until"):
        params.pop(unknown, None)
    return Call("GET", f"/v1/tasks/{_part(task)}/logs/stream", _many(types.LogLine), params)


# --- history ---------------------------------------------------------------------------------------------


def event_page(task: str | None, after: int | None, limit: int) -> Call[types.EventPage]:
    path = "/v1/events" if task is None else f"/v1/tasks/{_part(task)}/events"
    return Call("GET", path, _one(types.EventPage), _params(after=after, limit=limit))


def event_stream(after: int | None) -> Call[types.Event]:
    return Call("GET", "/v1/events/stream", _one(types.Event), _params(after=after))


# --- workflows -------------------------------------------------------------------------------------------


def define_workflow(definition: Mapping[str, Any]) -> Call[flows.Workflow]:
    return Call("POST", "/v1/workflows", _one(flows.Workflow), json=dict(definition))


def workflows() -> Call[list[flows.Workflow]]:
    return Call("GET", "/v1/workflows", _many(flows.Workflow))


def workflow(name: str, version: int | None) -> Call[flows.Workflow]:
    return Call("GET", f"/v1/workflows/{_part(name)}", _one(flows.Workflow), _params(version=version))


def workflow_versions(name: str) -> Call[list[flows.Workflow]]:
    return Call("GET", f"/v1/workflows/{_part(name)}/versions", _many(flows.Workflow))


def run_workflow(
    name: str, parameters: Mapping[str, Any], version: int | None, key: str | None
) -> Call[flows.WorkflowRun]:
    """Without a key, one is made: a repeated request then answers with the first run."""
    headers = {"Idempotency-Key": key or os.urandom(16).hex()}
    body = {"workflow": name, "parameters": dict(parameters), "version": version}
    return Call("POST", "/v1/workflow-runs", _one(flows.WorkflowRun), json=body, headers=headers)


def workflow_run(run: str) -> Call[flows.WorkflowRun]:
    return Call("GET", f"/v1/workflow-runs/{_part(run)}", _one(flows.WorkflowRun))


def workflow_runs(
    name: str | None, states: Iterable[str], limit: int, before: int | None
) -> Call[flows.WorkflowRunPage]:
    params = _params(workflow=name, state=list(states), limit=limit, before=before)
    return Call("GET", "/v1/workflow-runs", _one(flows.WorkflowRunPage), params)


def cancel_workflow_run(run: str) -> Call[flows.WorkflowRun]:
    path = f"/v1/workflow-runs/{_part(run)}/cancel"
    return Call("POST", path, _one(flows.WorkflowRun), repeatable=False)


def resume_workflow_run(run: str) -> Call[flows.WorkflowRun]:
    path = f"/v1/workflow-runs/{_part(run)}/resume"
    return Call("POST", path, _one(flows.WorkflowRun), repeatable=False)


def workflow_stages(run: str, after: int, limit: int) -> Call[flows.StagePage]:
    path = f"/v1/workflow-runs/{_part(run)}/stages"
    return Call("GET", path, _one(flows.StagePage), _params(after=after, limit=limit))


def workflow_stage(run: str, stage: str, after: int, limit: int) -> Call[flows.StageDetail]:
    path = f"/v1/workflow-runs/{_part(run)}/stages/{_part(stage)}"
    return Call("GET", path, _one(flows.StageDetail), _params(after=after, limit=limit))


def workflow_plan(run: str) -> Call[flows.PlanReport]:
    return Call("GET", f"/v1/workflow-runs/{_part(run)}/plan", _one(flows.PlanReport))


# --- the cluster -----------------------------------------------------------------------------------------


def nodes() -> Call[list[types.Node]]:
    return Call("GET", "/v1/nodes", _many(types.Node))


def node(node: str) -> Call[types.Node]:
    return Call("GET", f"/v1/nodes/{_part(node)}", _one(types.Node))


def gauges(node: str) -> Call[list[types.Gauges]]:
    return Call("GET", f"/v1/nodes/{_part(node)}/gauges", _many(types.Gauges))


def drain(node: str, drain: bool) -> Call[types.Node]:
    return Call("POST", f"/v1/nodes/{_part(node)}/drain", _one(types.Node), json={"drain": drain})


def profiles() -> Call[list[types.Profile]]:
    return Call("GET", "/v1/profiles", _many(types.Profile))


def use_profile(name: str) -> Call[types.Profile]:
    return Call("PUT", "/v1/profile", _one(types.Profile), json={"name": name})


def quotas() -> Call[list[types.Quota]]:
    return Call("GET", "/v1/quotas", _many(types.Quota))


def set_quota(user: str, running_workers: int | None, queued_tasks: int | None) -> Call[types.Quota]:
    body = _params(running_workers=running_workers, queued_tasks=queued_tasks)
    return Call("PUT", f"/v1/quotas/{_part(user)}", _one(types.Quota), json=body)


def forecast(rows: int) -> Call[types.Forecast]:
    return Call("GET", "/v1/forecast", _one(types.Forecast), _params(rows=rows))


def set_forecast(knobs: Mapping[str, Any]) -> Call[types.Forecast]:
    return Call("PUT", "/v1/forecast", _one(types.Forecast), json=dict(knobs))


def services() -> Call[types.Services]:
    return Call("GET", "/v1/services", _one(types.Services))


def alarms(all: bool, limit: int, before: str | None) -> Call[types.AlarmPage]:
    params = _params(all=all or None, limit=limit, before=before)
    return Call("GET", "/v1/alarms", _one(types.AlarmPage), params)


def acknowledge(alarm: str) -> Call[types.Alarm]:
    return Call("POST", f"/v1/alarms/{_part(alarm)}/acknowledge", _one(types.Alarm))


def alarm_rules() -> Call[list[types.AlarmRule]]:
    return Call("GET", "/v1/alarm-rules", _many(types.AlarmRule))


def set_alarm_rule(name: str, fields: Mapping[str, Any]) -> Call[types.AlarmRule]:
    body = {("for" if field == "hold" else field): value for field, value in fields.items()}
    return Call("PUT", f"/v1/alarm-rules/{_part(name)}", _one(types.AlarmRule), json=body)


def drop_alarm_rule(name: str) -> Call[None]:
    return Call("DELETE", f"/v1/alarm-rules/{_part(name)}", lambda _: None, repeatable=False)


def try_alarm_rule(name: str) -> Call[list[types.Send]]:
    return Call("POST", f"/v1/alarm-rules/{_part(name)}/test", _many(types.Send), repeatable=False)


def channels() -> Call[list[types.Channel]]:
    return Call("GET", "/v1/channels", _many(types.Channel))


def set_channel(name: str, kind: str, settings: Mapping[str, str], enabled: bool) -> Call[types.Channel]:
    body = {"kind": kind, "settings": dict(settings), "enabled": enabled}
    return Call("PUT", f"/v1/channels/{_part(name)}", _one(types.Channel), json=body)


def drop_channel(name: str) -> Call[None]:
    return Call("DELETE", f"/v1/channels/{_part(name)}", lambda _: None, repeatable=False)


def try_channel(name: str) -> Call[types.Send]:
    return Call("POST", f"/v1/channels/{_part(name)}/test", _one(types.Send), repeatable=False)


def sends(channel: str, limit: int) -> Call[list[types.Send]]:
    return Call("GET", f"/v1/channels/{_part(channel)}/sends", _many(types.Send), _params(limit=limit))


def whatif(profile: str, last_s: float, nodes: int | None) -> Call[types.WhatIf]:
    body = _params(profile=profile, last_s=last_s, nodes=nodes)
    return Call("POST", "/v1/whatif", _one(types.WhatIf), json=body, repeatable=False)


def tokens() -> Call[list[types.Token]]:
    return Call("GET", "/v1/tokens", _many(types.Token))


def new_token(user: str, role: str, days: float | None, label: str) -> Call[types.Token]:
    body = _params(user=user, role=role, days=days, label=label)
    return Call("POST", "/v1/tokens", _one(types.Token), json=body, repeatable=False)


def revoke_token(token: str) -> Call[None]:
    return Call("DELETE", f"/v1/tokens/{_part(token)}", lambda _: None, repeatable=False)


def overview() -> Call[types.Overview]:
    return Call("GET", "/v1/overview", _one(types.Overview))


def health() -> Call[dict[str, str]]:
    return Call("GET", "/v1/health", dict)
