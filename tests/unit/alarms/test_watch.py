"""The life of alarms, with times made up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from trainmaster.alarms.memory import from_json, to_json
from trainmaster.alarms.rules.occurrences import OTHERS, Occurrence, occurrences
from trainmaster.alarms.rules.standing import Look
from trainmaster.alarms.rules.watch import MOST_GROUPS, Verdict, Watches, evaluate
from trainmaster.domain.alarm import (
    Alarm,
    AlarmState,
    Condition,
    Grouping,
    Happened,
    Idle,
    Late,
    Rule,
    validate,
)
from trainmaster.domain.cluster import Gauges
from trainmaster.domain.errors import InvalidAlarmRule
from trainmaster.domain.history import Record, RecordKind
from trainmaster.domain.ids import NodeId, TaskId


class Rules:
    """Rules with their watches, moved on by hand."""

    def __init__(self, *rules: Rule) -> None:
        self.rules = {rule.name: rule for rule in rules}
        self.watches: Watches = {}
        self.alarms: dict[str, Alarm] = {}
        self.acknowledged: set[str] = set()

    def at(self, now: float, *seen: Occurrence, look: Look | None = None) -> list[str]:
        verdict = self.verdict(now, *seen, look=look)
        return [f"{notice.kind} {notice.count}" for notice in verdict.notices]

    def verdict(self, now: float, *seen: Occurrence, look: Look | None = None) -> Verdict:
        verdict = evaluate(self.rules, self.watches, seen, look, frozenset(self.acknowledged), now)
        self.alarms.update(verdict.alarms)
        return verdict

    @property
    def open(self) -> list[Alarm]:
        return [alarm for alarm in self.alarms.values() if alarm.state is not AlarmState.RESOLVED]


def failed(time: float, task: str = "t-1", name: str = "train", user: str = "ada") -> Occurrence:
    return Occurrence(Condition.TASK_FAILED, time, f"{name} failed", task, name, user)


def rule(condition: Condition = Condition.TASK_FAILED, **values: object) -> Rule:
    return replace(Rule("r", condition), **values)  # type: ignore[arg-type]


def test_opens_after_n_within_a_time() -> None:
    rules = Rules(rule(after=3, within_s=60))
    assert rules.at(10, failed(10)) == []
    assert rules.at(65, failed(65)) == []
    assert rules.at(80, failed(80)) == []  # the first is too long ago
    assert rules.at(90, failed(90)) == ["opened 3"]
    assert rules.open[0].opened_at == 90


def test_is_quiet_then_tells_again_then_is_over() -> None:
    rules = Rules(rule(quiet_s=100, resolve_s=500))
    assert rules.at(0, failed(0)) == ["opened 1"]
    assert rules.at(50, failed(40), failed(50)) == []
    assert rules.at(100) == ["again 3"]
    assert rules.at(300) == []  # nothing new happened
    assert rules.at(549) == []
    assert rules.at(550) == ["resolved 3"]
    assert rules.open == []


def test_an_alarm_that_comes_back_within_the_quiet_time_is_told_later() -> None:
    rules = Rules(rule(quiet_s=100, resolve_s=10))
    assert rules.at(0, failed(0)) == ["opened 1"]
    assert rules.at(20) == ["resolved 1"]
    assert rules.at(30, failed(30)) == []
    assert rules.at(40) == []  # over again, and nobody was told that it had opened
    assert rules.at(95, failed(95)) == []
    assert rules.at(101) == ["opened 1"]


def test_who_takes_care_is_told_the_end_only() -> None:
    rules = Rules(rule(quiet_s=10, resolve_s=100))
    rules.at(0, failed(0))
    rules.acknowledged = {rules.open[0].id}
    assert rules.at(50, failed(50)) == []
    assert rules.at(150) == ["resolved 2"]


@pytest.mark.parametrize(("group", "alarms"), [("rule", 1), ("name", 2), ("task", 3), ("user", 2)])
def test_groups(group: str, alarms: int) -> None:
    rules = Rules(rule(group=Grouping(group)))
    rules.at(0, failed(0, "t-1", "a", "ada"), failed(0, "t-2", "a", "bob"), failed(0, "t-3", "b", "bob"))
    assert len(rules.open) == alarms
    assert sum(alarm.count for alarm in rules.open) == 3


def test_groups_without_end_share_one() -> None:
    rules = Rules(rule(group=Grouping.TASK))
    rules.at(0, *(failed(0, f"t-{n}") for n in range(10 * MOST_GROUPS)))
    assert len(rules.open) == MOST_GROUPS + 1
    others = next(alarm for alarm in rules.open if alarm.group == OTHERS)
    assert others.count == 9 * MOST_GROUPS


def test_covers_what_its_patterns_and_user_say() -> None:
    rules = Rules(rule(tasks="train-*", user="ada"))
    assert rules.at(0, failed(0, name="train-1", user="bob"), failed(0, name="eval", user="ada")) == []
    assert rules.at(1, failed(1, name="train-1", user="ada")) == ["opened 1"]


def test_a_lost_node_is_over_when_it_is_back_and_not_before() -> None:
    def lost(time: float, node: str, kind: str) -> Occurrence:
        (seen,) = occurrences(Happened(Record(time, RecordKind(kind), node=NodeId(node))))
        return seen

    rules = Rules(rule(Condition.NODE_LOST, group=Grouping.NODE, nodes="gpu-*"))
    assert rules.at(0, lost(0, "gpu-1", "node-suspect"), lost(0, "cpu-1", "node-gone")) == ["opened 1"]
    assert rules.at(60, lost(60, "gpu-1", "node-gone"), lost(60, "gpu-2", "node-gone")) == ["opened 1"]
    assert len(rules.open) == 2
    assert rules.at(10_000) == ["again 2"]
    assert rules.at(10_001, lost(10_001, "gpu-1", "node-joined")) == ["resolved 2"]
    assert [alarm.group for alarm in rules.open] == ["gpu-2"]


def test_an_expected_success_that_does_not_come() -> None:
    rules = Rules(rule(Condition.NO_SUCCESS, limit=100, tasks="backup", made_at=1000.0))
    done = Occurrence(Condition.NO_SUCCESS, 1050, "", "t-1", "backup")
    assert rules.at(1100) == []
    assert rules.at(1050.5, done) == []
    assert rules.at(1150) == []
    assert rules.at(1151) == ["opened 1"]
    assert "no task named backup" in rules.open[0].text
    assert rules.at(1160, replace(done, time=1155, name="other")) == []
    assert rules.at(1170, replace(done, time=1165)) == ["resolved 1"]


def test_a_condition_must_hold_for_a_while() -> None:
    def look(now: float, memory: float) -> Look:
        return Look(now, nodes={"n1": Gauges(time=now, memory=memory), "n2": Gauges()})

    rules = Rules(rule(Condition.NODE_PRESSURE, limit=0.8, for_s=10, quiet_s=0, resolve_s=5))
    assert rules.at(0, look=look(0, 0.9)) == []
    assert rules.at(5, look=look(5, 0.7)) == []
    assert rules.at(10, look=look(10, 0.9)) == []
    assert rules.at(15) == []  # nobody looked
    assert rules.at(20, look=look(20, 0.95)) == ["opened 1"]
    assert rules.open[0].text == "n1: memory used to 95%"
    assert rules.at(22, look=look(22, 0.1)) == []  # flapping
    assert rules.at(26, look=look(26, 0.1)) == ["resolved 1"]


def test_what_waits_and_what_makes_no_progress() -> None:
    waiting = (
        Idle("t-1", "old", "ada", 0.0),
        Idle("t-2", "older", "ada", -50.0),
        Idle("t-3", "new", "ada", 90.0),
    )
    rules = Rules(
        rule(Condition.QUEUE_WAIT, limit=60), replace(rule(Condition.NO_PROGRESS, limit=60), name="p")
    )
    assert rules.at(100, look=Look(100, waiting=waiting)) == ["opened 2"]
    assert rules.open[0].text.startswith("older (t-2) has waited for a start for 2 min 30 s; 1 more")
    assert rules.at(101, look=Look(101, silent=waiting[:1])) == ["resolved 2", "opened 1"]


def test_triggers_that_fire_late_or_not_at_all() -> None:
    missed = Record(
        5.0, RecordKind.FIRING_MISSED, reason="nobody was there", detail={"trigger": "g-1", "name": "nightly"}
    )
    rules = Rules(
        rule(Condition.FIRING_MISSED, tasks="night*", group=Grouping.TRIGGER),
        replace(rule(Condition.FIRING_DELAY, limit=2), name="late"),
    )
    assert rules.at(5, *occurrences(Happened(missed))) == ["opened 1"]
    late = (Late("hourly", 0.0, 1.5), Late("nightly", 0.0, 3.0), Late("weekly", 0.0, 2.5))
    assert rules.at(6, look=Look(6, late=late)) == ["opened 2"]
    assert sorted(alarm.text for alarm in rules.open) == [
        "nightly began 3.0 s late; 1 more",
        "nightly was missed: nobody was there",
    ]
    assert rules.at(7, look=Look(7)) == ["resolved 2"]


def test_more_work_than_all_nodes_can_do() -> None:
    rules = Rules(rule(Condition.OVER_CAPACITY))
    assert rules.at(0, look=Look(0, needed=None)) == []
    assert rules.at(1, look=Look(1, needed=1.0)) == []
    assert rules.at(2, look=Look(2, needed=1.3)) == ["opened 1"]
    assert "130%" in rules.open[0].text


def test_history_tells_what_happened() -> None:
    def seen(kind: str, **detail: object) -> list[Condition]:
        record = Record(5.0, RecordKind(kind), TaskId("t-1"), 1, None, "because", detail)
        return [one.condition for one in occurrences(Happened(record, "train", "ada"))]

    assert seen("task-failed") == [Condition.TASK_FAILED]
    assert seen("task-failed", retries_used_up=True) == [Condition.TASK_FAILED, Condition.RETRIES_USED_UP]
    assert seen("task-stopping", intent="timeout") == [Condition.TIMEOUT]
    assert seen("task-stopping", intent="cancel") == []
    assert seen("task-started") == []
    of_run = {"run": "w-1", "workflow": "etl", "version": 1, "user": "ada"}
    assert seen("workflow-stopping", why="timeout", **of_run) == [Condition.TIMEOUT]
    assert seen("workflow-stopping", why="cancel", **of_run) == []


def test_a_workflow_that_was_expected_to_succeed() -> None:
    rules = Rules(rule(Condition.NO_SUCCESS, limit=100, tasks="etl", user="ada", made_at=1000.0))
    of_run = {"run": "w-1", "workflow": "etl", "version": 1, "user": "ada"}
    record = Record(1160.0, RecordKind.WORKFLOW_SUCCEEDED, reason="every stage is done", detail=of_run)
    assert rules.at(1101) == ["opened 1"]
    assert rules.at(1161, *occurrences(Happened(record))) == ["resolved 1"]


def test_a_rule_that_goes_lets_go_of_its_alarms_without_a_word() -> None:
    rules = Rules(rule())
    rules.at(0, failed(0))
    rules.rules = {}
    assert rules.at(1) == []
    assert rules.open == [] and rules.watches == {}


def test_watches_survive_a_restart() -> None:
    rules = Rules(rule(after=2, group=Grouping.NAME, quiet_s=10))
    rules.at(0, failed(0, name="a"), failed(0, name="b"), failed(1, name="b"))
    rules.watches = from_json(to_json(rules.watches), rules.open)
    assert rules.at(20, failed(20, name="a"), failed(20, name="b")) == ["opened 2", "again 3"]


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("name", {"name": "no spaces"}),
        ("after", {"after": 0}),
        ("after", {"after": 2, "condition": Condition.QUEUE_WAIT}),
        ("for_s", {"for_s": 5.0}),
        ("quiet_s", {"quiet_s": -1.0}),
        ("limit", {"limit": -1.0, "condition": Condition.QUEUE_WAIT}),
        ("limit", {"limit": 90.0, "condition": Condition.NODE_PRESSURE}),
        ("resource", {"resource": "luck", "condition": Condition.NODE_PRESSURE}),
        ("group", {"group": Grouping.NODE}),
        ("group", {"group": Grouping.RULE, "condition": Condition.NODE_LOST}),
    ],
)
def test_rules_that_can_never_be_right(field: str, values: dict[str, object]) -> None:
    with pytest.raises(InvalidAlarmRule) as caught:
        validate(rule(**values))
    assert caught.value.fields["field"] == field and caught.value.remedy
