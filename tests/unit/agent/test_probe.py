"""The probe: how samples scale with a node's share, and when they are taken."""

from __future__ import annotations

import os
import time

import pytest

from trainmaster.agent.probe import PERIOD_S, WORK_MIB, Probe, scaled
from trainmaster.domain.performance_index import PerformanceIndex


def test_a_whole_core_counts_the_pace_seen() -> None:
    assert scaled(wall_s=0.01, cpu_s=0.01, share=1.0) == pytest.approx(WORK_MIB / 0.01)
    assert scaled(wall_s=0.04, cpu_s=0.01, share=1.0) == pytest.approx(WORK_MIB / 0.04)


def test_many_cores_make_one_worker_no_faster() -> None:
    assert scaled(0.01, 0.01, share=8.0) == scaled(0.01, 0.01, share=1.0)


def test_part_of_a_core_is_that_part_of_the_pace() -> None:
    assert scaled(0.01, 0.01, share=0.25) == pytest.approx(WORK_MIB / 0.01 / 4)


def test_neighbours_within_their_part_of_the_core_cost_nothing() -> None:
    assert scaled(wall_s=0.02, cpu_s=0.01, share=0.5) == scaled(wall_s=0.01, cpu_s=0.01, share=0.5)


def test_neighbours_beyond_their_part_do() -> None:
    assert scaled(wall_s=0.04, cpu_s=0.01, share=0.5) == pytest.approx(WORK_MIB / 0.04)


def test_samples_are_taken_when_due_and_only_then() -> None:
    now = 100.0
    probe = Probe(None, 1.0, PerformanceIndex(2, 0.5), clock=lambda: now)
    assert probe.value is None
    assert probe.tick() is True
    probe.join(30)
    first = probe.value
    assert first is not None and first > 1
    now += PERIOD_S - 0.1
    assert probe.tick() is False
    now += 0.2
    assert probe.tick() is True
    probe.join(30)
    assert probe.value is not None and probe.value != first


def test_only_the_probes_own_thread_is_pinned() -> None:
    allowed = os.sched_getaffinity(0)
    probe = Probe([min(allowed)], 1.0)
    probe.tick()
    probe.join(30)
    assert os.sched_getaffinity(0) == allowed
    assert probe.value is not None


def test_cores_that_are_not_there_do_not_stop_it() -> None:
    probe = Probe([4095], 1.0)
    probe.tick()
    probe.join(30)
    assert probe.value is not None


def test_a_sample_costs_the_asking_thread_next_to_nothing() -> None:
    probe = Probe(None, 1.0)
    before = time.thread_time()
    probe.tick()
    spent = time.thread_time() - before
    probe.join(30)
    assert spent < 0.02
