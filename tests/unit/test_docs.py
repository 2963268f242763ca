"""The documents say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from tests.scenario import World, spec
from trainmaster.bootstrap.config import Config
from trainmaster.domain.lifecycle import diagram
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
