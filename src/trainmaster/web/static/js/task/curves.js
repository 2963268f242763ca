// Every metric the training code reported, one chart each, attempts marked.

import { get } from "../api.js";
import { h } from "../dom.js";
import { Chart } from "../parts/chart.js";
import { query, setQuery } from "../router.js";
import { OF_GROUP } from "./group.js";

const PAGE = 10000;
const MOST = 200000;
const LIVE_MS = 2000;
const FIRST = ["accuracy", "val_accuracy", "loss", "val_loss"];

function order(a, b) {
  const rank = (name) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length + (name === "epoch"));
  return rank(a) - rank(b) || a.localeCompare(b);
}

export function openCurves(body, context) {
  const by = h("div", { class: "segments" });
  const note = h("span", { class: "muted" });
  const grid = h("div", { class: "charts" });
  const none = h("div", { class: "empty", hidden: true },
    h("p", null, "No metrics reported yet. Training code sends them with one line:"),
    h("pre", { class: "code" }, "from trainmaster.train import report\n\nreport(epoch=3, loss=0.21, accuracy=0.94)"));
  body.append(h("div", { class: "tab-scroll padded", tabindex: "0" }, h("div", { class: "toolbar" }, by, note), grid, none));

  const charts = new Map();
  const reports = [];
  let since = 0;
  let busy = false;
  let closed = false;

  const axis = () => (query().get("x") === "time" ? "time" : "step");

  function drawAxis() {
    by.replaceChildren(...["step", "time"].map((name) =>
      h("button", { type: "button", "aria-pressed": String(axis() === name), onclick: () => { setQuery({ x: name === "step" ? "" : name }); drawAxis(); draw(); } }, `by ${name}`)));
  }

  function draw() {
    const grouped = context.task().group !== null || reports.some((report) => "samples_s" in report.values && "step_s" in report.values);
    const names = [...new Set(reports.flatMap((report) => Object.keys(report.values)))].filter((name) => name !== "epochs" && !(grouped && OF_GROUP.test(name))).sort(order);
    none.hidden = names.length > 0;
    note.textContent = names.length ? `${reports.length.toLocaleString("en")} reports${reports.length >= MOST ? ", the first ones only" : ""}` : "";
    for (const name of names) {
      if (!charts.has(name)) {
        charts.set(name, new Chart(name));
        grid.append(charts.get(name).element);
      }
      charts.get(name).show(reports, axis());
    }
  }

  async function load() {
    if (busy) return;
    busy = true;
    try {
      for (let full = true; full && !closed && reports.length < MOST; ) {
        const page = await get(`/tasks/${context.id}/metrics`, { after: since, limit: PAGE });
        for (const report of page) reports.push(report);
        since = page.at(-1)?.time ?? since;
        full = page.length >= PAGE;
        if (!closed && (page.length || none.hidden)) draw();
      }
    } catch {
      // The live mark tells; the next round tries again.
    } finally {
      busy = false;
    }
  }

  drawAxis();
  load();
  const timer = setInterval(() => document.hidden || (context.task().ended_at === null && load()), LIVE_MS);
  const stop = context.onEvents(load);
  return {
    close() {
      closed = true;
      clearInterval(timer);
      stop();
      for (const chart of charts.values()) chart.close();
    },
  };
}
