// All tasks: find them, watch them, end them.

import { get, post } from "../api.js";
import { h, setText } from "../dom.js";
import { count } from "../format.js";
import { onKey } from "../keys.js";
import { onEvents } from "../live.js";
import { may, mayChange } from "../rights.js";
import { go, query, setQuery, title } from "../router.js";
import { ENDED, ON_NODES } from "../states.js";
import { filterBar, filtered, filters } from "../tasks/filters.js";
import { Pages } from "../tasks/pages.js";
import { wantProgress } from "../tasks/progress.js";
import { openSubmit } from "../tasks/submit.js";
import { TaskTable } from "../tasks/table.js";
import { toast } from "../toast.js";

const FIRST_PAGE = 100;
const NEXT_PAGES = 250;
const EVENTS_MS = 600; // after something happened to tasks
const PROGRESS_MS = 2000; // training reports are no events
const SETTLED_MS = 200; // of no scrolling, before curves are asked for
const AHEAD = 60; // rows before the end at which the next page is loaded
const AT_ONCE = 4;

export function openTasks(outlet) {
  title("Tasks");
  let pages;
  let closed = false;
  let seen = [0, 0];
  let settle = 0;
  let soon = 0;

  const table = new TaskTable({ onOpen: (task) => go(`/tasks/${task.id}`), onSelect: drawSelection, onScroll: scrolled });
  const bar = filterBar(restart);
  const cancel = h("button", { type: "button", class: "danger", onclick: cancelSelected });
  const picked = h("div", { class: "picked", hidden: true }, h("span"), cancel, h("button", { type: "button", class: "quiet", onclick: clearSelection }, "clear"));
  const total = h("span", { class: "muted" });
  const empty = h("div", { hidden: true });
  outlet.append(
    h("div", { class: "view-head" }, h("h1", null, "Tasks"), total, h("span", { class: "grow" }), picked,
      h("button", { type: "button", class: "primary", id: "submit-task", disabled: !may("submitter"), onclick: openSubmit }, "Submit a task")),
    bar.element, table.element, empty);
  outlet.classList.add("fixed");

  async function load(before) {
    return get("/tasks", { ...filters(), limit: before === undefined ? FIRST_PAGE : NEXT_PAGES, before });
  }

  async function restart() {
    const mine = new Pages(load);
    pages = mine;
    try {
      await mine.start();
    } catch (problem) {
      if (pages === mine && !closed) toast(problem.message, problem.remedy, true);
      return;
    }
    if (pages !== mine || closed) return;
    table.element.scrollTop = 0;
    draw();
  }

  function draw() {
    bar.draw(pages.counts);
    table.set(pages.rows);
    const none = pages.rows.length === 0;
    table.element.hidden = none;
    empty.hidden = !none;
    setText(total, filtered() && !none ? `${pages.rows.length.toLocaleString("en")}${pages.more ? "+" : ""} shown` : "");
    if (none) drawEmpty();
  }

  function drawEmpty() {
    const teach = h("div", { class: "empty big" },
      h("h2", null, "No tasks yet"),
      h("p", null, "A task is a command with what it needs. This makes one:"),
      h("pre", { class: "code" }, "trainmaster submit --name hello --cpus 1 -- python train.py"),
      h("p", { class: "muted" }, "It appears here by itself, with its log, its curves and the reason for everything that happens to it."));
    const nothing = h("div", { class: "empty big" },
      h("h2", null, "No task matches"),
      h("p", null, "None has this state, user and text together."),
      h("button", { type: "button", onclick: () => { setQuery({ state: [], user: "", text: "" }, { push: true }); restart(); } }, "Show all tasks"));
    empty.replaceChildren(filtered() ? nothing : teach);
  }

  async function refresh() {
    if (closed || document.hidden || !pages?.pages.length) return;
    const mine = pages;
    for (const at of mine.covering(...seen)) await mine.refresh(at).catch(() => {});
    if (pages === mine && !closed) draw();
  }

  function scrolled(first, last) {
    seen = [first, last];
    clearTimeout(settle);
    settle = setTimeout(() => {
      wantProgress(pages.rows.slice(Math.max(first, 0), last + 1).map((row) => row.task), () => table.later());
      if (pages.covering(first, last).some((at) => pages.pages[at]?.stale)) refresh();
    }, SETTLED_MS);
    if (last > pages.rows.length - AHEAD && pages.more && !pages.busy) {
      const mine = pages;
      mine.extend().then((grown) => grown && pages === mine && !closed && draw()).catch(() => {});
    }
  }

  function drawSelection() {
    const chosen = pages.rows.filter((row) => table.selected.has(row.task.id)).map((row) => row.task);
    const able = chosen.filter((task) => !ENDED.has(task.state) && mayChange(task));
    picked.hidden = chosen.length === 0;
    setText(picked.firstChild, `${chosen.length.toLocaleString("en")} selected`);
    setText(cancel, able.length === chosen.length ? "Cancel them" : `Cancel ${able.length}`);
    cancel.disabled = able.length === 0;
  }

  function clearSelection() {
    table.selected.clear();
    table.changed();
  }

  async function cancelSelected() {
    const able = pages.rows.map((row) => row.task).filter((task) => table.selected.has(task.id) && !ENDED.has(task.state) && mayChange(task));
    if (able.length > 1 && !confirm(`Cancel ${count(able.length, "task")}? Their workers are ended.`)) return;
    const refused = [];
    const rest = [...able];
    const worker = async () => {
      for (let task = rest.shift(); task; task = rest.shift()) {
        await post(`/tasks/${task.id}/cancel`).catch((problem) => refused.push(problem));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    if (refused.length) toast(`${count(refused.length, "task")} not cancelled: ${refused[0].message}`, refused[0].remedy, true);
    else toast(`Cancelling ${count(able.length, "task")}.`);
    clearSelection();
    refresh();
  }

  const stops = [
    onEvents((events) => {
      const ids = new Set(events.map((event) => event.task).filter(Boolean));
      pages?.doubt(ids);
      if (!soon && ids.size) soon = setTimeout(() => { soon = 0; refresh(); }, EVENTS_MS);
    }),
    onKey("j", () => table.step(1)),
    onKey("k", () => table.step(-1)),
    onKey("Enter", () => table.active && go(`/tasks/${table.active.id}`)),
    onKey("x", () => table.active && table.pick(table.active.id, !table.selected.has(table.active.id))),
    onKey("c", () => may("submitter") && openSubmit()),
  ];
  const timer = setInterval(() => {
    if (pages?.rows.slice(Math.max(seen[0], 0), seen[1] + 1).some((row) => ON_NODES.includes(row.task.state))) refresh();
  }, PROGRESS_MS);

  restart();
  if (query().get("new")) {
    setQuery({ new: "" });
    if (may("submitter")) openSubmit();
  }
  return {
    close() {
      closed = true;
      outlet.classList.remove("fixed");
      clearInterval(timer);
      clearTimeout(settle);
      clearTimeout(soon);
      table.close();
      stops.forEach((stop) => stop());
    },
  };
}
