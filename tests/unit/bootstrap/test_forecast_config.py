"""The `[forecast]` section: what it accepts, and what it says of the rest."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from trainmaster.bootstrap.config import BadConfig, ModelName, load_config
from trainmaster.domain.sizing import SizingKnobs
from trainmaster.forecasting.models.registry import names


def read(tmp_path: Path, text: str):
    file = tmp_path / "trainmaster.toml"
    file.write_text(f"[forecast]\n{text}\n")
    return load_config(file).forecast


def test_every_model_may_be_configured() -> None:
    assert get_args(ModelName) == names()


def test_left_out_it_only_advises_as_the_core_would(tmp_path: Path) -> None:
    forecast = read(tmp_path, "")
    assert forecast.knobs() == SizingKnobs()
    assert not forecast.apply
    assert forecast.grid(128).interval_s == 3600.0


def test_what_is_set_arrives(tmp_path: Path) -> None:
    forecast = read(tmp_path, 'interval = "5m"\nzone = "Asia/Kolkata"\nholidays = [2026-12-25]\nhold = 3')
    grid = forecast.grid(1)
    assert (grid.interval_s, grid.zone, len(grid.holidays), forecast.knobs().hold) == (
        300.0,
        "Asia/Kolkata",
        1,
        3,
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('interval = "7h"', "divisor of a day"),
        ('interval = "0.5s"', "divisor of a day"),
        ('interval = "often"', "not a duration"),
        ('zone = "Mars/Olympus"', "no time zone"),
        ('model = "crystal_ball"', "model"),
        ("level = 0.3", "level"),
        ("target_utilisation = 0", "target_utilisation"),
        ("speed = 1", "speed"),
    ],
)
def test_a_bad_setting_names_the_file_and_the_field(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(BadConfig, match=told) as caught:
        read(tmp_path, text)
    assert str(tmp_path) in str(caught.value)
    assert str(caught.value.fields["field"]).startswith("forecast.")
