"""Pictures of plans."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from trainmaster.dagsched import TaskGraph, gantt_html, gantt_svg, generate, schedule

SVG = "{http://www.w3.org/2000/svg}"


def boxes(svg, kind):
    return [g for g in ET.fromstring(svg).iter(f"{SVG}g") if g.get("class") == kind]


def test_every_copy_is_drawn_and_further_ones_are_marked():
    plan = schedule(generate(60, height=10, ccr=5, seed=1), 4, "duplication")
    svg = gantt_svg(plan)
    assert plan.copies > 0
    assert len(boxes(svg, "task")) == 60
    assert len(boxes(svg, "copy")) == plan.copies
    assert all("url(#copy)" in ET.tostring(box, encoding="unicode") for box in boxes(svg, "copy"))
    assert "lower bound" in svg
    assert svg == gantt_svg(plan)


def test_names_are_escaped():
    plan = schedule(TaskGraph([1], names=["<script>alert(1)</script>"]), 1, "serial")
    page = gantt_html(plan)
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page and "@SVG@" not in page


def test_large_plans_become_stretches_and_empty_spans_do_not_fail():
    plan = schedule(generate(21_000, height=50, seed=0), 8, "heft")
    svg = gantt_svg(plan)
    assert not boxes(svg, "task")
    assert len(svg) < 2_000_000
    ET.fromstring(svg)
    ET.fromstring(gantt_svg(schedule(TaskGraph([0, 0]), 2, "heft")))
