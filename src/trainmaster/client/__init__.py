"""The Python SDK: what the HTTP interface offers, from a program.

from trainmaster.client import Client

with Client() as client:
    task = client.submit(command=["python", "train.py"], gpus=1)
    print(client.wait(task.id).state)
"""

from trainmaster.client.aio import AsyncClient
from trainmaster.client.calls import LogFilter
from trainmaster.client.definition import StageRef, Workflow
from trainmaster.client.errors import Refused, TaskFailed, Unreachable, WaitTimeout
from trainmaster.client.fields import RetryFields, SizingFields, TaskFields, TriggerFields
from trainmaster.client.sync import Client
from trainmaster.client.types import (
    Backfill,
    ComingInterval,
    Event,
    EventPage,
    Expected,
    Explanation,
    Fact,
    Firing,
    Fit,
    Forecast,
    Gauges,
    LogLine,
    LogPage,
    Metric,
    Node,
    Outlook,
    Overview,
    PastInterval,
    Profile,
    Progress,
    Quota,
    Run,
    Sized,
    SizingKnobs,
    Submitted,
    Task,
    TaskPage,
    Token,
    Trigger,
    Waiting,
)
from trainmaster.client.workflow_types import WorkflowRun

__all__ = [
    "AsyncClient",
    "Backfill",
    "Client",
    "ComingInterval",
    "Event",
    "EventPage",
    "Expected",
    "Explanation",
    "Fact",
    "Firing",
    "Fit",
    "Forecast",
    "Gauges",
    "LogFilter",
    "LogLine",
    "LogPage",
    "Metric",
    "Node",
    "Outlook",
    "Overview",
    "PastInterval",
    "Profile",
    "Progress",
    "Quota",
    "Refused",
    "RetryFields",
    "Run",
    "Sized",
    "SizingFields",
    "SizingKnobs",
    "StageRef",
    "Submitted",
    "Task",
    "TaskFailed",
    "TaskFields",
    "TaskPage",
    "Token",
    "Trigger",
    "TriggerFields",
    "Unreachable",
    "WaitTimeout",
    "Waiting",
    "Workflow",
    "WorkflowRun",
]
