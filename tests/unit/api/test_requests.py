"""What is said of fields that do not exist, and what requests share."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from trainmaster.api.requests import DrainIn, ManyIn, TaskIn, unknown_field


@pytest.mark.parametrize(
    ("model", "body", "words"),
    [
        (TaskIn, {"prioritee": 1}, "there is no field 'prioritee'; did you mean 'priority'?"),
        (TaskIn, {"retry": {"atempts": 2}}, "there is no field 'atempts'; did you mean 'attempts'?"),
        (ManyIn, {"tasks": [{}, {"workrs": 2}]}, "there is no field 'workrs'; did you mean 'workers'?"),
        (ManyIn, {"tasks": [{"retry": {"on_exit": []}}]}, "did you mean 'on_exits'?"),
        (ManyIn, {"task": [], "tasks": []}, "there is no field 'task'; did you mean 'tasks'?"),
        (DrainIn, {"zzzzzz": 1}, "there is no field 'zzzzzz'"),
    ],
)
def test_an_unknown_field_is_refused_with_the_nearest_name(
    model: type[BaseModel], body: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body)
    (error,) = caught.value.errors()
    assert error["type"] == "extra_forbidden"
    said = unknown_field(model, error["loc"])
    assert words in said and ("did you mean" in words) == ("did you mean" in said)


def test_tasks_of_a_bulk_share_no_value_that_can_change() -> None:
    one, other = ManyIn.model_validate({"tasks": [{"command": ["a"]}, {"command": ["a"]}]}).tasks
    one.environment["A"] = one.labels["B"] = one.node_labels["C"] = "x"
    assert not other.environment and not other.labels and not other.node_labels
    assert one.spec("me") != other.spec("me")
