"""The pages on forecasting say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[3] / "docs"


def test_the_code_of_the_how_to_runs(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(
        r"```python\n(.*?)```", (DOCS / "how-to" / "forecast-demand.md").read_text(), re.DOTALL
    )
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "forecast-demand.md", "exec", dont_inherit=True), {})
    assert "nodes for" in capsys.readouterr().out


def test_the_bars_on_the_page_are_those_of_the_tables() -> None:
    page = (DOCS / "results" / "forecast.md").read_text()
    tables = (DOCS / "results" / "forecast-tables.md").read_text()
    shown = {"A5M": "97.34", "A1H": "96.65", "A1H repaired": "96.97", "A1D repaired": "94.17"}
    for name, value in shown.items():
        section = tables.split(f"### {name} (")[1].split("###")[0]
        row = next(line for line in section.splitlines() if line.startswith("| auto |"))
        assert row.split("|")[2].strip() == value
        assert value in page


def test_every_picture_on_the_page_exists() -> None:
    page = (DOCS / "results" / "forecast.md").read_text()
    pictures = re.findall(r"!\[[^]]*\]\(([^)]+)\)", page)
    assert len(pictures) == 4
    for picture in pictures:
        assert (DOCS / "results" / picture).read_text().startswith("<svg")
