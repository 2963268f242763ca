"""The board: what is new, what is confirmed, what is forgotten."""

from __future__ import annotations

from tests.nodes import run_id

from trainmaster.agent.board import Board
from trainmaster.domain.run import Exit, RunReport, RunState

A, B = run_id("a"), run_id("b")


def test_only_changes_are_news() -> None:
    board = Board("life-1")
    board.report(RunReport(A, RunState.RUNNING))
    assert board.news.is_set()
    board.news.clear()
    board.report(RunReport(A, RunState.RUNNING))
    assert not board.news.is_set()
    assert board.version == 1


def test_the_latest_report_of_a_run_replaces_the_earlier_one() -> None:
    board = Board("life-1")
    board.report(RunReport(A, RunState.RUNNING))
    board.report(RunReport(B, RunState.RUNNING))
    last = RunReport(A, RunState.EXITED, exit=Exit(0))
    board.report(last)
    assert board.unseen() == (RunReport(B, RunState.RUNNING), last)


def test_confirmed_reports_are_not_sent_again() -> None:
    board = Board("life-1")
    board.report(RunReport(A, RunState.RUNNING))
    answered = board.next_version()
    board.report(RunReport(B, RunState.RUNNING))
    board.seen(answered)
    assert [report.id for report in board.unseen()] == [B]
    assert [report.id for report in board.all()] == [A, B]


def test_a_run_that_changed_since_the_answer_stays_unseen() -> None:
    board = Board("life-1")
    board.report(RunReport(A, RunState.RUNNING))
    answered = board.next_version()
    board.report(RunReport(A, RunState.EXITED, exit=Exit(0)))
    board.seen(answered)
    assert [report.state for report in board.unseen()] == [RunState.EXITED]


def test_notes_wake_nobody_and_yield_to_reports() -> None:
    board = Board("life-1")
    board.note(RunReport(A, RunState.PREPARING))
    assert not board.news.is_set() and board.unseen() == ()
    board.report(RunReport(A, RunState.RUNNING))
    board.note(RunReport(A, RunState.PREPARING))
    assert board.get(A) == RunReport(A, RunState.RUNNING)


def test_dropped_runs_are_gone() -> None:
    board = Board("life-1")
    board.report(RunReport(A, RunState.EXITED, exit=Exit(0)))
    board.drop(A)
    assert list(board.all()) == [] and board.unseen() == () and board.get(A) is None
