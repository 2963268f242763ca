"""Patterns people search logs with."""

from __future__ import annotations

import pytest

from trainmaster.domain.errors import InvalidQuery
from trainmaster.store.log_match import CHARS, matcher


@pytest.mark.parametrize(
    ("text", "regex", "line", "expected"),
    [
        ("loss", False, "epoch 1 loss 0.5", True),
        ("Loss", False, "epoch 1 loss 0.5", False),
        (".*", False, "anything", False),
        (r"loss [\d.]+$", True, "epoch 1 loss 0.5", True),
        (r"(?i)LOSS", True, "epoch 1 loss 0.5", True),
        (r"^epoch (\d+) (?:loss|accuracy)", True, "epoch 12 accuracy 1", True),
        (
            r"loss \d+\.\d+ acc [\d.]+ lr [0-9.]+ +n \d+",
            True,
            "x" * 5000 + "loss 1.5 acc 0.1 lr 0.1  n 3",
            True,
        ),
        (r"a.*b\S+c.*d", True, "x" * 180 + "a-b--c-d", True),
        (r"a.*b\S+c.*d", True, "x" * 200 + "a-b--c-d", False),
        (r"(\w{3})\d{2,8}x", True, "abc123x", True),
        (r"end", True, "x" * CHARS[0] + "end", False),
    ],
)
def test_matching(text: str, regex: bool, line: str, expected: bool) -> None:
    assert matcher(text, regex)(line) is expected


@pytest.mark.parametrize("pattern", ["(", "[a", "*", "(?P<x>a)(?P<x>b)", "a{99999999999}", "x" * 501])
def test_a_wrong_pattern_names_the_remedy(pattern: str) -> None:
    with pytest.raises(InvalidQuery) as caught:
        matcher(pattern, True)
    assert caught.value.remedy and caught.value.fields["field"] == "text"


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "((a*)b?)*c", "(a|aa)+$", r"(x)(\1+)*y", "(?:(?=a+)a+){20,}", "(.*?,){99}P"]
)
def test_patterns_of_exponential_time_are_refused(pattern: str) -> None:
    with pytest.raises(InvalidQuery, match="exponential"):
        matcher(pattern, True)


def test_too_many_wide_repetitions_are_refused() -> None:
    with pytest.raises(InvalidQuery, match="4 repetitions"):
        matcher(r"a.*b\w+c[^x]+d(?:e(?:f.*))", True)


@pytest.mark.parametrize("pattern", [r".*a.*b.*c", r"\S+\S+\S+;", r"[a-z]+[a-z]*[a-z]{3,}\d"])
def test_no_pattern_takes_long(pattern: str) -> None:
    """The worst line for each; the time is bounded by the number of characters, whatever the machine."""
    found = matcher(pattern, True)("a" * 100_000)
    assert found is False
