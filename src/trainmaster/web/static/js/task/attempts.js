// The workers of all attempts: where they ran, how they are, how they ended.

import { get } from "../api.js";
import { h, keep } from "../dom.js";
import { absolute, bytes, duration, moment } from "../format.js";
import { stateMark } from "../states.js";
import { now } from "../time.js";

const LIVE_MS = 3000;
const HEADS = ["Attempt", "Rank", "State", "Node", "Started", "Ran", "CPU", "Memory", "Exit", "How it ended"];

export function openAttempts(body, context) {
  const rows = h("tbody");
  const none = h("p", { class: "empty muted", hidden: true }, "No attempt yet: workers appear here once the task is placed on nodes.");
  body.append(h("div", { class: "tab-scroll", tabindex: "0" }, h("table", { class: "table" }, h("caption", { class: "sr" }, "Workers"),
    h("thead", null, h("tr", null, HEADS.map((label) => h("th", { scope: "col" }, label)))), rows), none));

  function row(run) {
    const ran = run.started_at === null ? "–" : duration((run.ended_at ?? now()) - run.started_at);
    const ending = [run.fault.replaceAll("-", " "), run.detail].filter(Boolean).join(": ");
    return h("tr", null,
      h("td", null, run.attempt), h("td", null, run.rank), h("td", null, stateMark(run.state)),
      h("td", { class: "cut" }, run.node, run.devices.length ? h("span", { class: "muted" }, ` GPU ${run.devices.join(", ")}`) : null),
      h("td", { class: "cut", title: run.started_at && absolute(run.started_at) }, run.started_at ? moment(run.started_at, now()) : "–"),
      h("td", { class: "cut" }, ran),
      h("td", { class: "cut" }, run.cpu === null ? "–" : `${run.cpu.toFixed(2)} cores`),
      h("td", { class: "cut" }, run.memory === null ? "–" : bytes(run.memory)),
      h("td", null, run.exit_code ?? "–"),
      h("td", null, ending || (run.exit_code === 0 ? "well" : run.ended_at ? "by its own exit" : "–")));
  }

  async function load() {
    const runs = await get(`/tasks/${context.id}/runs`).catch(() => null);
    if (!runs) return;
    none.hidden = runs.length > 0;
    rows.parentElement.hidden = !runs.length;
    const live = runs.some((run) => run.ended_at === null);
    keep(rows, [runs, live && Math.floor(now())], () => [...runs].reverse().map(row));
  }

  load();
  const timer = setInterval(() => document.hidden || (context.task().ended_at === null && load()), LIVE_MS);
  const stop = context.onEvents(load);
  return { close: () => (clearInterval(timer), stop()) };
}
