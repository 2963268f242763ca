"""The group of a task on its page: drawn as it trains, and resized from there."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.e2e.test_page import submit
from tests.e2e.visitor import Visitor
from tests.live import SOURCE, Live

pytestmark = pytest.mark.needs("chromium")

TRAINING = """
import time
import torch
from torch.utils.data import TensorDataset
from trainmaster import train

torch.set_num_threads(1)
model = torch.nn.Linear(4, 1)
with train.task(convergence=None) as t:
    t.prepare(model)
    for epoch in t.epochs(100_000):
        for (x,) in t.batches(TensorDataset(torch.ones(256, 4)), batch=64):
            model(x).sum().backward()
            time.sleep(0.02)
"""


def test_its_size_shares_and_generations(visit: Callable[..., Visitor], live_service: Live) -> None:
    task = submit(
        live_service,
        name="elastic",
        command=[sys.executable, "-c", TRAINING],
        cpus=0.1,
        workers="1..2",
        environment={"PYTHONPATH": str(SOURCE)},
    )
    visitor = visit(live_service)
    page = visitor.page
    visitor.go(f"/tasks/{task}/group")
    rows = page.locator(".group-box tbody tr")
    expect(rows.filter(has_text="generation 1")).to_contain_text("2: 0, 1", timeout=60_000)
    for name in ("Workers", "Throughput", "Shares of the batch", "Speed of each worker"):
        expect(page.get_by_role("figure", name=name, exact=True).locator("canvas")).to_be_visible()
    expect(page.get_by_role("figure", name="Shares of the batch")).to_contain_text("worker 1")
    page.locator("#resize-task").select_option("1")
    newest = rows.filter(has_text="generation 2")
    expect(newest).to_contain_text("without worker 1")
    expect(page.get_by_role("figure", name="Workers", exact=True)).to_contain_text("now 1")
    page.set_viewport_size({"width": 390, "height": 844})
    assert visitor.too_wide() <= 0
    visitor.go(f"/tasks/{task}/curves")
    expect(page.get_by_text("No metrics reported yet")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".task-head .state").first).to_have_text("Cancelled")
