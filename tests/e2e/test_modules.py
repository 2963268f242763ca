"""Modules of the page that decide something, asked in the browser without the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.visitor import Visitor
from tests.live import Live

pytestmark = pytest.mark.needs("chromium")

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def frame(browser: Browser, shared_service: Live) -> Iterator[Page]:
    context = browser.new_context()
    visitor = Visitor(shared_service, context.new_page())
    visitor.log_in()
    yield visitor.page
    context.close()


@pytest.fixture
def run(frame: Page) -> Run:
    """`run("log/ansi.js", "(module, value) => …", value)`"""

    def call(module: str, script: str, value: Any = None) -> Any:
        whole = f"""async (value) => {{
            const module = await import(`${{document.documentElement.dataset.assets}}/js/{module}`);
            return await ({script})(module, value);
        }}"""
        return frame.evaluate(whole, value)

    return call


RENDER = """(ansi, [line, most]) => {
    const box = document.createElement("div");
    const left = ansi.render(box, line, most);
    return [box.innerHTML, left];
}"""


@pytest.mark.parametrize(
    ("line", "html"),
    [
        ("plain", "plain"),
        ("\x1b[31mred\x1b[0m rest", '<span class="a-red">red</span> rest'),
        ("\x1b[1;92mdone", '<span class="a-bold a-green">done</span>'),
        ("\x1b[38;5;196mx", '<span class="" style="color: rgb(255, 0, 0);">x</span>'),
        ("\x1b[38;2;1;2;300mx", '<span class="" style="color: rgb(1, 2, 44);">x</span>'),
        ("\x1b[48;5;1mno background", "no background"),
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)&gt;"),
        ("\x1b[31m<b>", '<span class="a-red">&lt;b&gt;</span>'),
        ("a\x1b]0;title\x07b\x1b[2Kc\x1b[Hd", "abcd"),
        ("a\x1b]8;;http://x\x1b\\b", "ab"),
        ("nul\x00 bell\x07 del\x7f", "nul bell del"),
        ("10 %\r50 %\r100 %", "100 %"),
        ("ends with return\r", "ends with return"),
        ("\x1b[", ""),
        ("\x1b[?25lhidden cursor\x1b[?25h", "hidden cursor"),
        ("tab\tstays", "tab\tstays"),
    ],
)
def test_colours_are_spans_and_text_is_text(run: Run, line: str, html: str) -> None:
    assert run("log/ansi.js", RENDER, [line, 1000])[0] == html


def test_long_lines_are_cut_wherever_the_colours_are(run: Run) -> None:
    html, left = run("log/ansi.js", RENDER, ["ab\x1b[31mcdef\x1b[0mghi", 4])
    assert (html, left) == ('ab<span class="a-red">cd</span>', 5)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("python train.py --lr 0.1", ["python", "train.py", "--lr", "0.1"]),
        ("echo 'a  b' \"c $d\" e\\ f", ["echo", "a  b", "c $d", "e f"]),
        ('a""b \'\' "\\""', ["ab", "", '"']),
        ("  ", []),
    ],
)
def test_commands_are_split_as_in_a_shell(run: Run, line: str, words: list[str]) -> None:
    assert run("tasks/words.js", "(m, line) => m.words(line)", line) == words
    assert run("tasks/words.js", "(m, list) => m.words(m.joined(list))", words) == words


def test_pages_lose_no_row_while_tasks_come_and_go(run: Run) -> None:
    """Against a listing that changes between the requests, as the service's does."""
    script = """async ({ Pages }) => {
        let all = Array.from({ length: 30 }, (_, at) => 30 - at);
        const load = async (before) => {
            const from = all.filter((seq) => before === undefined || seq < before);
            const tasks = from.slice(0, 5).map((seq) => ({ id: `t${seq}` }));
            return { tasks, next: from.length > 5 ? from[4] : null, counts: {} };
        };
        const pages = new Pages(load);
        await pages.start();
        while (pages.more) await pages.extend();
        const whole = pages.rows.length;
        all = [35, 34, 33, 32, 31, ...all].filter((seq) => seq % 7);
        for (let at = 0; at < pages.pages.length; at += 1) await pages.refresh(at);
        while (pages.more) await pages.extend();
        return [whole, pages.rows.map((row) => row.task.id), all.map((seq) => `t${seq}`)];
    }"""
    whole, shown, wanted = run("tasks/pages.js", script)
    assert whole == 30
    assert shown == wanted
