"""Task files and --set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trainmaster.api.requests import RetryIn, TaskIn
from trainmaster.cli.taskfile import FIELDS, RETRY_FIELDS, read_task, set_field
from trainmaster.domain.errors import InvalidTask


def test_the_fields_are_those_of_the_interface() -> None:
    assert set(FIELDS) == set(TaskIn.model_fields)
    assert set(RETRY_FIELDS) == set(RetryIn.model_fields)


def test_a_file_gives_its_fields(tmp_path: Path) -> None:
    file = tmp_path / "task.toml"
    file.write_text(
        'command = "python train.py --name \'a b\'"\ncpus = 2\ndirectory = "code"\n'
        '[environment]\nSEED = "1"\n[retry]\nattempts = 3\n'
    )
    assert read_task(file) == {
        "command": ["python", "train.py", "--name", "a b"],
        "cpus": 2,
        "directory": str(tmp_path / "code"),
        "environment": {"SEED": "1"},
        "retry": {"attempts": 3},
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("gpu = 1", "there is no field gpu; did you mean gpus?"),
        ("[retry]\natempts = 1", "there is no field retry.atempts; did you mean retry.attempts?"),
        ("cpus = ", "is not valid TOML"),
        ("zzzzzz = 1", "there is no field zzzzzz"),
    ],
)
def test_a_wrong_file_is_refused_in_one_sentence(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "task.toml"
    file.write_text(content)
    with pytest.raises(InvalidTask) as caught:
        read_task(file)
    assert words in caught.value.message
    assert caught.value.remedy


def test_a_missing_file_says_how_to_run_a_command(tmp_path: Path) -> None:
    with pytest.raises(InvalidTask, match="there is no file") as caught:
        read_task(tmp_path / "train.toml")
    assert "after `--`" in caught.value.remedy


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("priority=3", {"priority": 3}),
        ("name=3", {"name": "3"}),
        ("memory=8GB", {"memory": "8GB"}),
        ("workers=1..4", {"workers": "1..4"}),
        ("preemptible=false", {"preemptible": False}),
        ("command=python 'my train.py'", {"command": ["python", "my train.py"]}),
        ("after=t-1, t-2", {"after": ["t-1", "t-2"]}),
        ("environment.A=x=y", {"environment": {"B": "1", "A": "x=y"}}),
        ("retry.on_exits=[1, 2]", {"retry": {"on_exits": [1, 2]}}),
        ('arguments={"days": 7}', {"arguments": {"days": 7}}),
    ],
)
def test_set_reads_the_value_as_its_field_wants_it(assignment: str, expected: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"environment": {"B": "1"}} if "environment" in expected else {}
    set_field(fields, assignment)
    assert fields == expected


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("priority", "there is no value"),
        ("prio=3", "did you mean priority"),
        ("environment=x", "cannot be set"),
        ("cpus.x=1", "cannot be set"),
        ("retry.backof=1", "did you mean retry.backoff"),
    ],
)
def test_set_refuses_what_no_task_has(assignment: str, words: str) -> None:
    with pytest.raises(InvalidTask) as caught:
        set_field({}, assignment)
    assert words in caught.value.message
