"""`trainmaster policy`, which needs no service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trainmaster.bootstrap.weights import own_file, own_networks
from trainmaster.cli.main import run
from trainmaster.policies.learned import WrongWeights, shipped_text
from trainmaster.policies.registry import named


def test_what_is_shipped_is_listed_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--data", str(tmp_path), "policy", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["policy"] for one in listed] == ["rlpto", "residual_ppo"]
    assert all(one["source"] == "shipped" and one["parameters"] > 100 for one in listed)
    assert run(["--data", str(tmp_path), "policy", "show", "rlpto", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["features"] == ["m", "e", "l", "n", "a", "c", "w"]
    assert shown["trained"]["command"].startswith("trainmaster policy train rlpto")


def test_training_writes_weights_a_service_then_uses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.json"
    words = [
        "policy",
        "train",
        "rlpto",
        "--iterations",
        "1",
        "--episodes",
        "1",
        "--out",
        str(file),
        "--beta",
        "0.001",
    ]
    assert run(words) == 0
    assert "1/1: score" in capsys.readouterr().out
    data = tmp_path / "data"
    assert run(["--data", str(data), "policy", "use", "rlpto", str(file)]) == 0
    networks = own_networks(data)
    assert list(networks) == ["rlpto"]
    policy = named("rlpto", networks=networks).allotment
    assert policy.network.to_json() == file.read_text()  # type: ignore[attr-defined]
    assert run(["--data", str(data), "policy", "use", "rlpto", "shipped"]) == 0
    assert own_networks(data) == {}


def test_wrong_weights_are_refused_with_a_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = shipped_text("residual_ppo")
    assert text is not None
    file = tmp_path / "other.json"
    file.write_text(text)
    assert run(["--data", str(tmp_path), "policy", "use", "rlpto", str(file)]) == 2
    assert "policy train rlpto" in capsys.readouterr().err
    old = own_file(tmp_path, "rlpto")
    old.parent.mkdir()
    old.write_text(json.dumps(json.loads(text) | {"format": 99, "policy": "rlpto"}))
    with pytest.raises(WrongWeights, match="format 99"):
        own_networks(tmp_path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "rlpto", "--beta", "0.5"], "0.0001 to 0.0003"),
        (["train", "rlpto", "--variant", "trpo"], "kl or clip"),
        (["show", "pollux"], "rlpto, residual_ppo"),
        (["use", "rlpto", "nowhere.json"], "cannot be read"),
    ],
)
def test_bad_input(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["policy", *words]) == 2
    assert said in capsys.readouterr().err
