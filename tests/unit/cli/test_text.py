"""How values are shown to people."""

from __future__ import annotations

import time

import pytest

from trainmaster.cli.logs import shown
from trainmaster.cli.text import bar, clean, instant, moment, number, span, sparkline
from trainmaster.domain.errors import InvalidTask


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1m 00s"),
        (130, "2m 10s"),
        (3599.7, "1h 00m"),
        (11_100, "3h 05m"),
        (86_399, "23h 59m"),
        (187_200, "2d 04h"),
    ],
)
def test_span_is_short_and_rounds_over_its_units(seconds: float | None, text: str) -> None:
    assert span(seconds) == text


def test_clean_leaves_nothing_that_moves_the_cursor() -> None:
    assert clean("a\x1b[2Jb\rc\u202ed\x9be") == "a␛[2Jb␍c\ufffdd\ufffde"
    assert clean("tab\tstays, ünïcode too 网") == "tab\tstays, ünïcode too 网"


@pytest.mark.parametrize(
    ("text", "coloured", "plain"),
    [
        ("\x1b[32mgreen\x1b[0m", "\x1b[32mgreen\x1b[0m\x1b[0m", "green"),
        ("\x1b[2J\x1b[Hgone", "gone", "gone"),
        ("\x1b]0;title\x07text", "text", "text"),
        ("\x1b]8;;http://x\x1b\\link", "link", "link"),
        ("10%\r50%\r100%\r", "100%", "100%"),
        ("bell\x07 null\x00", "bell␇ null␀", "bell␇ null␀"),
        ("cut \x1b", "cut ", "cut "),
    ],
)
def test_a_log_line_keeps_its_colours_and_nothing_else(text: str, coloured: str, plain: str) -> None:
    assert shown(text, True) == coloured
    assert shown(text, False) == plain


def test_sparkline_ends_with_the_last_value_and_fits() -> None:
    assert sparkline([], 5) == ""
    assert sparkline([1, 1], 5) == "▁▁"
    assert sparkline([0, 0.5, 1], 5) == "▁▅█" or sparkline([0, 0.5, 1], 5) == "▁▄█"
    long = sparkline([i / 99 for i in range(100)], 10)
    assert len(long) == 10
    assert long[-1] == "█"


def test_numbers_and_bars() -> None:
    assert [number(v) for v in (3.0, 0.123456, 1234567.8)] == ["3", "0.1235", "1.235e+06"]
    assert bar(0.5, 4) == "██░░"
    assert bar(7.0, 4) == "████"


def test_moment_tells_the_day_only_if_it_was_another() -> None:
    now = time.mktime((2026, 11, 21, 14, 30, 5, 0, 0, -1))
    assert moment(now, now) == "14:30:05"
    assert moment(now - 86400, now) == "2026-11-20 14:30"
    assert moment(None, now) == "–"


def test_instant_reads_ages_clocks_dates_and_epochs() -> None:
    now = time.mktime((2026, 11, 21, 14, 30, 0, 0, 0, -1))
    assert instant("10m", now, "since") == now - 600
    assert instant("2h", now, "deadline", ahead=True) == now + 7200
    assert instant("9:05", now, "since") == now - (5 * 60 + 25) * 60
    assert instant("2026-11-21T14:29", now, "since") == now - 60
    assert instant("1795257504.5", now, "since") == 1795257504.5
    with pytest.raises(InvalidTask, match="neither a duration nor a time") as caught:
        instant("soon", now, "since")
    assert "14:30" in caught.value.remedy
