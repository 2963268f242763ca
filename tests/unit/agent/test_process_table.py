"""Which processes belong to a run, from a table of processes."""

from __future__ import annotations

import os

import psutil
import pytest

from trainmaster.agent.process_table import ProcessUse, parse, read, trees


def _table(*rows: tuple[int, int, int, int]) -> dict[int, ProcessUse]:
    return {pid: ProcessUse(pid, parent, group, session, 1.0, 100) for pid, parent, group, session in rows}


def test_a_name_full_of_brackets_and_blanks_shifts_nothing() -> None:
    rest = b"S 7 42 41 0 -1 0 0 0 0 0 100 50 25 25 20 0 3 0 999 1000000 5 18446744073709551615"
    use = parse(b"42 (a) b ( c) " + rest)
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert (use.pid, use.parent, use.group, use.session) == (42, 7, 42, 41)
    assert use.cpu_s == pytest.approx(200 * tick)
    assert use.memory == 5 * os.sysconf("SC_PAGE_SIZE")


def test_descendants_and_orphans_of_the_group_and_session_belong_to_the_run() -> None:
    table = _table(
        (1, 0, 1, 1),
        (10, 1, 10, 10),  # the run's command leads its session
        (11, 10, 10, 10),  # child
        (12, 11, 12, 10),  # grandchild in a group of its own
        (13, 1, 10, 10),  # orphan in the group
        (14, 1, 14, 10),  # orphan in the session
        (15, 14, 15, 15),  # the orphan's child in a session of its own
        (20, 1, 20, 20),  # a stranger
    )
    assert trees(table, [[10], [20], [99]]) == [{10, 11, 12, 13, 14, 15}, {20}, set()]


def test_a_root_that_leads_nothing_brings_only_its_descendants() -> None:
    table = _table((5, 1, 5, 5), (6, 5, 5, 5), (7, 6, 5, 5), (8, 5, 5, 5))
    assert trees(table, [[6]]) == [{6, 7}]


def test_this_process_is_found_with_plausible_use() -> None:
    use = read()[os.getpid()]
    assert use.parent == os.getppid()
    assert use.memory == pytest.approx(psutil.Process().memory_info().rss, rel=0.5)
    assert use.cpu_s > 0
