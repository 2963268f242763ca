"""The documents say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tests.scenario import World, spec
from trainmaster.api.workflow_requests import WorkflowIn
from trainmaster.bootstrap.config import Config
from trainmaster.client import Workflow
from trainmaster.domain.lifecycle import diagram
from trainmaster.domain.workflow import validate
from trainmaster.policies import registry

DOCS = Path(__file__).parents[2] / "docs"


def test_the_state_diagram_is_drawn_from_the_table() -> None:
    assert f"```mermaid\n{diagram()}```" in (DOCS / "lifecycle.md").read_text()


def test_every_setting_is_documented_with_its_default() -> None:
    text = (DOCS / "configuration.md").read_text()
    for name, field in Config.model_fields.items():
        row = next((line for line in text.splitlines() if line.startswith(f"| `{name}` |")), None)
        assert row is not None, name
        assert field.description and field.description in row, name


def test_the_recipe_for_a_policy_works(monkeypatch) -> None:
    recipe = (DOCS / "how-to" / "add-a-policy.md").read_text()
    match = re.search(r"```python\n(.*?class Roomy.*?)```", recipe, re.DOTALL)
    assert match is not None
    code = re.sub(r"^   ", "", match[1], flags=re.MULTILINE)
    namespace: dict[str, type] = {}
    exec(compile(code, "roomy.py", "exec", dont_inherit=True), namespace)
    monkeypatch.setitem(registry.PLACEMENTS, "roomy", namespace["Roomy"])
    world = World({"small": 1, "large": 4}, placement="roomy")
    (task,) = world.submit(spec())
    assert world.nodes_of(task) == ["large"]


def test_links_between_documents_lead_somewhere() -> None:
    for page in [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_workflow_of_the_how_to_is_one_in_yaml_and_in_python() -> None:
    page = (DOCS / "how-to" / "workflows.md").read_text()
    written = re.search(r"```yaml\n(.*?)```", page, re.DOTALL)
    code = re.search(r"```python\n(.*?)\nwith Client", page, re.DOTALL)
    assert written is not None and code is not None
    graph = validate(WorkflowIn(**yaml.safe_load(written[1])).spec())
    assert [stage.name for stage in graph.spec.stages] == ["split", "work", "merge", "tell"]
    namespace: dict[str, Workflow] = {}
    exec(code[1], namespace)
    graph = validate(WorkflowIn(**namespace["flow"].to_dict()).spec())
    assert graph.before == ((), (0,), (1,)), "a stage comes after those whose values it names"
