"""The page in a real browser against the real service: what a person does with it in a day."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.visitor import Visitor
from tests.live import Live, wait_until

pytestmark = pytest.mark.needs("chromium")

# Training in miniature: lines to both streams, and reports of progress.
TRAINING = """
import json, os, sys, time
report = open(os.environ["TRAINMASTER_REPORT"], "a")
for epoch in range(1, int(sys.argv[1]) + 1):
    told = {"t": time.time(), "step": epoch, "epoch": epoch, "epochs": int(sys.argv[1]),
            "loss": 2 / epoch, "accuracy": 1 - 0.5 / epoch}
    report.write(json.dumps(told) + "\\n")
    report.flush()
    print(f"\\x1b[32mepoch {epoch}\\x1b[0m <b>not markup</b>", flush=True)
    if epoch == 3:
        print("RuntimeError: made up", file=sys.stderr, flush=True)
    time.sleep(float(sys.argv[2]))
"""


def submit(service: Live, **fields: Any) -> str:
    with service.client() as client:
        answer = client.post("/v1/tasks", json={"cpus": 0.5, **fields})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])


def training(service: Live, name: str, epochs: int = 200, every_s: float = 0.1, **fields: Any) -> str:
    return submit(
        service, name=name, command=[sys.executable, "-c", TRAINING, str(epochs), str(every_s)], **fields
    )


def until(service: Live, task: str, *states: str) -> None:
    with service.client() as client:
        wait_until(lambda: client.get(f"/v1/tasks/{task}").json()["state"] in states, f"{task} is {states}")


def test_submit_watch_and_cancel(page: Page, live_service: Live) -> None:
    """Through the form, to a log that moves, to a task that is gone."""
    page.goto(live_service.url + "/tasks")
    expect(page.get_by_text("No tasks yet")).to_be_visible()
    page.keyboard.press("c")
    form = page.get_by_role("dialog", name="Submit a task")
    form.get_by_label("Command").fill("for i in $(seq 1000); do echo line $i; sleep 0.1; done")
    form.get_by_label("through a shell").check()
    form.get_by_label("Name").fill("counting")
    form.get_by_label("Cores per worker").fill("0.5")
    form.get_by_role("button", name="Submit").click()

    expect(page.get_by_role("heading", name="counting")).to_be_visible()
    expect(page.locator(".task-head .state").first).to_have_text("Running")
    log = page.get_by_role("log")
    expect(log).to_contain_text("line 2")
    shown = re.findall(r"line (\d+)", log.inner_text())
    expect(log).to_contain_text(f"line {int(shown[-1]) + 8}")
    assert page.evaluate(
        "(e => e.scrollTop + e.clientHeight >= e.scrollHeight - 4)(document.querySelector('.log'))"
    )

    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".task-head .state").first).to_have_text("Cancelled")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


def test_refusals_stand_beside_their_field(visit: Callable[..., Visitor], live_service: Live) -> None:
    visitor = visit(live_service)
    visitor.expected.add(422)
    page = visitor.page
    visitor.go("/tasks?new=1")
    form = page.get_by_role("dialog", name="Submit a task")
    for label, name, wrong, told in (
        ("Workers", "workers", "4..2", "write 2..4"),
        ("Memory per worker", "memory", "much", "write it like"),
        ("Time limit", "timeout", "soon", "write it like"),
        ("Cores per worker", "cpus", "-1", "greater than or equal"),
    ):
        form.get_by_label("Command").fill("true")
        right = form.get_by_label(label).input_value()
        form.get_by_label(label).fill(wrong)
        form.get_by_role("button", name="Submit").click()
        expect(page.locator(f"#new-{name}-error")).to_contain_text(told)
        expect(form.get_by_label(label)).to_have_attribute("aria-invalid", "true")
        form.get_by_label(label).fill(right)
    form.get_by_label("Cores per worker").fill("64")
    form.get_by_role("button", name="Submit").click()
    expect(page.locator("#new-error")).to_contain_text("no node can ever run this")
    form.get_by_label("Command").fill("echo 'open")
    form.get_by_role("button", name="Submit").click()
    expect(page.locator("#new-command-error")).to_contain_text("is not closed")


def test_rows_change_in_place(page: Page, live_service: Live) -> None:
    """The row that is there stays the same element while its task lives and ends."""
    task = training(live_service, "patched", epochs=25)
    page.goto(live_service.url + "/tasks")
    row = page.locator(f"tr[data-id={task}]")
    expect(row.locator(".state")).to_have_text("Running")
    page.evaluate("id => { document.querySelector(`tr[data-id=${id}]`).mine = true; }", task)
    expect(row.locator(".epoch")).to_contain_text("/25")
    expect(row.locator(".spark path")).to_have_count(1)
    another = submit(live_service, name="newcomer", command=["true"])
    expect(page.locator(f"tr[data-id={another}] .state")).to_have_text("Succeeded")
    expect(row.locator(".state")).to_have_text("Succeeded")
    expect(row.locator(".epoch")).to_have_text("25/25")
    assert page.evaluate("id => document.querySelector(`tr[data-id=${id}]`).mine === true", task)


def test_address_holds_the_filters(page: Page, live_service: Live) -> None:
    good = submit(live_service, name="alpha-good", command=["true"])
    bad = submit(live_service, name="alpha-bad", command=["false"])
    other = submit(live_service, name="beta", command=["true"])
    for task in (good, bad, other):
        until(live_service, task, "SUCCEEDED", "FAILED")
    page.goto(live_service.url + "/tasks?state=FAILED&text=alpha")
    expect(page.locator("tr[data-id]")).to_have_count(1)
    expect(page.locator(f"tr[data-id={bad}]")).to_be_visible()
    expect(page.get_by_label("Name or id", exact=True)).to_have_value("alpha")
    expect(page.get_by_role("button", name="Failed")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Succeeded").click()
    expect(page.locator(f"tr[data-id={good}]")).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?text=alpha&state=SUCCEEDED$"))
    page.get_by_label("Name or id", exact=True).fill("")
    expect(page.locator(f"tr[data-id={other}]")).to_be_visible()
    page.reload()
    expect(page.locator("tr[data-id]")).to_have_count(2)
    page.keyboard.press("/")
    page.keyboard.type("beta")
    page.keyboard.press("Enter")
    expect(page.locator("tr[data-id]")).to_have_count(1)
    page.keyboard.press("/")
    page.keyboard.press("Control+A")
    page.keyboard.type(bad)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="alpha-bad")).to_be_visible()
    page.get_by_role("link", name="Why").click()
    expect(page.locator(".headline-text")).to_contain_text("exited with 1")
    page.go_back()
    page.go_back()
    expect(page.locator("tr[data-id]")).to_have_count(1)


def test_log_is_filtered_linked_and_only_text(page: Page, live_service: Live) -> None:
    task = training(live_service, "logs", epochs=12, every_s=0.01)
    until(live_service, task, "SUCCEEDED")
    page.goto(f"{live_service.url}/tasks/{task}")
    log = page.get_by_role("log")
    expect(log.locator(".a-green").first).to_have_text("epoch 1")
    expect(log).to_contain_text("<b>not markup</b>")
    expect(log.locator("b")).to_have_count(0)
    page.get_by_label("Filter lines by text").fill(r"epoch 1\d")
    expect(page.get_by_text("No line matches.")).to_be_visible()
    page.get_by_role("button", name="Regular expression").click()
    expect(log.locator(".line-row")).to_have_count(3)
    expect(page).to_have_url(re.compile("regex=1"))
    page.reload()
    expect(log.locator(".line-row")).to_have_count(3)
    page.get_by_label("Filter lines by text").fill("")
    page.get_by_label("Stream").select_option("STDERR")
    expect(log.locator(".line-row")).to_have_count(1)
    page.get_by_label("Stream").select_option("")
    page.get_by_role("button", name="First error").click()
    expect(log.locator("[data-marked]")).to_contain_text("RuntimeError: made up")
    expect(page).to_have_url(re.compile(r"line=\d+"))
    page.reload()
    expect(log.locator("[data-marked]")).to_contain_text("RuntimeError: made up")


def test_parts_of_a_task(page: Page, live_service: Live) -> None:
    task = training(live_service, "parts", epochs=30, every_s=0.05)
    until(live_service, task, "RUNNING")
    page.goto(f"{live_service.url}/tasks/{task}/curves")
    expect(page.locator(".chart canvas")).to_have_count(3)
    expect(page.locator(".chart figcaption").first).to_contain_text("accuracy")
    page.get_by_role("button", name="by time").click()
    expect(page).to_have_url(re.compile("x=time"))
    page.get_by_role("link", name="History").click()
    for what in ("submitted", "accepted", "started"):
        expect(page.locator("tbody .state", has_text=what)).to_have_count(1)
    page.get_by_role("link", name="Attempts").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody")).to_contain_text("node-")
    page.get_by_role("link", name="Definition").click()
    expect(page.get_by_text("trainmaster submit --name parts --cpus 0.5")).to_be_visible()
    page.get_by_role("link", name="Why").click()
    expect(page.locator(".headline-text")).to_contain_text(re.compile("RUNNING for|SUCCEEDED"))


def test_priority_and_many_cancelled(page: Page, live_service: Live) -> None:
    tasks = [training(live_service, f"many-{number}") for number in range(6)]
    waiting = tasks[-1]
    until(live_service, tasks[0], "RUNNING")
    page.goto(f"{live_service.url}/tasks/{waiting}/why")
    expect(page.locator(".headline-text")).to_contain_text("QUEUED")
    expect(page.locator(".facts")).to_contain_text("(simulated)")
    page.get_by_label("Urgency").select_option("urgent")
    expect(page.locator(".head-facts")).to_contain_text("urgent")
    page.get_by_role("button", name="Priority +1").click()
    expect(page.get_by_text("Priority raised.")).to_be_visible()

    page.goto(live_service.url + "/tasks")
    expect(page.locator("tr[data-id]")).to_have_count(6)
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator(".picked")).to_contain_text("2 selected")
    page.get_by_label("Select all loaded tasks").check()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Cancel them").click()
    expect(page.locator("tr[data-id] .state", has_text="Cancelled")).to_have_count(6)


def test_overview_nodes_and_policies(page: Page, live_service: Live) -> None:
    expect(page.get_by_text("No task was ever submitted.")).to_be_visible()
    tasks = [training(live_service, f"look-{number}") for number in range(6)]
    expect(page.locator(".headline")).to_contain_text("4 tasks running, 2 waiting")
    expect(page.locator(".occupancy .taken")).to_have_count(4)
    expect(page.locator(".waiting li")).to_have_count(2)
    expect(page.locator(".feed")).to_contain_text("look-5 submitted")
    page.keyboard.press("g")
    page.keyboard.press("n")
    expect(page.locator("article.node")).to_have_count(4)
    node = page.locator("article.node", has_text="node-2")
    node.get_by_role("button", name="Drain").click()
    expect(node.locator(".state")).to_have_text("Draining")
    node.get_by_role("button", name="Wake").click()
    expect(node.locator(".state")).to_have_text("Up")
    page.keyboard.press("g")
    page.keyboard.press("p")
    page.locator(".profile", has_text="dtes").get_by_role("button", name="Switch to it").click()
    expect(page.locator(".profile", has_text="dtes")).to_contain_text("in use")
    page.keyboard.press("g")
    page.keyboard.press("o")
    expect(page.locator(".headline")).to_contain_text("profile dtes")
    bad = submit(live_service, name="broken", command=["no-such-program"], urgency="highest")
    until(live_service, bad, "FAILED")
    expect(page.locator(".failures")).to_contain_text("no-such-program")
    for task in tasks:
        with live_service.client() as client:
            client.post(f"/v1/tasks/{task}/cancel")


def test_says_when_the_database_is_away(visit: Callable[..., Visitor], shared_service: Live) -> None:
    visitor = visit(shared_service)
    visitor.expected.add(503)
    page = visitor.page
    told = {
        "status": 503,
        "code": "store-unavailable",
        "detail": "the database does not answer",
        "remedy": "",
    }
    page.route("**/v1/overview", lambda route: route.fulfill(status=503, json=told))
    expect(page.locator("#store-trouble")).to_contain_text("the database does not answer")
    page.unroute("**/v1/overview")
    expect(page.locator("#store-trouble")).to_be_hidden()


def test_stale_when_the_service_is_away(visit: Callable[..., Visitor], live_service: Live) -> None:
    visitor = visit(live_service)
    visitor.page.context.set_offline(True)
    visitor.page.evaluate("fetch('/v1/health').catch(() => {})")
    expect(visitor.page.locator("#live")).to_have_attribute("data-state", "stale")
    visitor.page.context.set_offline(False)
    expect(visitor.page.locator("#live")).to_have_attribute("data-state", "live")
    visitor.complaints = [one for one in visitor.complaints if "ERR_INTERNET_DISCONNECTED" not in one]


def test_stale_while_the_service_hangs(page: Page, live_service: Live) -> None:
    """Its connections stay open and say nothing: only asking tells."""
    os.kill(live_service.pid, signal.SIGSTOP)
    try:
        expect(page.locator("#live")).to_have_attribute("data-state", "stale", timeout=40_000)
    finally:
        os.kill(live_service.pid, signal.SIGCONT)
    expect(page.locator("#live")).to_have_attribute("data-state", "live", timeout=40_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_view_fits(
    visit: Callable[..., Visitor], shared_service: Live, scheme: str, width: int
) -> None:
    """No sideways scrolling, no complaint of the browser, and the theme that was asked for."""
    task = training(
        shared_service, "a-task-with-a-rather-long-name-that-does-not-fit", epochs=8, every_s=0.02
    )
    until(shared_service, task, "SUCCEEDED")
    visitor = visit(shared_service, width=width, height=844, scheme=scheme)
    tabs = ("log", "curves", "history", "attempts", "definition", "why")
    for path in (
        "/",
        "/tasks",
        "/tasks?new=1",
        "/nodes",
        "/forecast",
        "/policies",
        *(f"/tasks/{task}/{tab}" for tab in tabs),
    ):
        visitor.go(path)
        expect(visitor.page.locator("#live")).to_have_attribute("data-state", "live")
        visitor.page.wait_for_timeout(150)
        assert visitor.too_wide() <= 0, path
    dark = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (dark == "rgb(13, 20, 24)") == (scheme == "dark")
    visitor.page.get_by_role("button", name="Theme").click()
    visitor.page.get_by_role("button", name="Theme").click()
    assert visitor.page.evaluate("document.documentElement.dataset.theme") == "dark"
    visitor.page.reload()
    assert visitor.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(13, 20, 24)"
