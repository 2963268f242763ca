// The group that trains: its size over time, its throughput, who does how much, and every generation.

import { get } from "../api.js";
import { h, keep } from "../dom.js";
import { absolute, count, duration, moment, short } from "../format.js";
import { eventSignal, happened } from "../parts/events.js";
import { linked } from "../parts/ids.js";
import { Timeline } from "../parts/timeline.js";
import { now } from "../time.js";

const PAGE = 1000;
const METRICS = 10000;
const LIVE_MS = 2000;
const HEIGHT = 180;
const TOLD = new Set([
  "task-started", "task-regrouped", "task-resizing", "task-resized", "resize-requested", "worker-lost", "task-converged",
  "task-interrupted", "task-retried", "task-succeeded", "task-failed", "task-cancelled",
]);
const OVER = new Set(["task-interrupted", "task-retried", "task-succeeded", "task-failed", "task-cancelled"]);
const COLOURS = ["succeeded", "failed", "running", "waiting", "interrupted", "lost", "accent", "cancelled"];
const MOST_LINES = 16;

/** What the leader tells of its group, beside what the script reports. */
export const OF_GROUP = /^(share|speed)\/|^(workers|samples_s|step_s)$/;

const pick = (reports, name) => new Map(reports.filter((report) => name in report.values).map((report) => [report.time, report.values[name]]));

/** Lines of `prefix/rank`, one for each worker, the newest ranks if there are too many. */
function byRank(reports, prefix) {
  const ranks = [...new Set(reports.flatMap((report) => Object.keys(report.values)).filter((name) => name.startsWith(`${prefix}/`)))]
    .map((name) => Number(name.slice(prefix.length + 1))).sort((a, b) => a - b).slice(-MOST_LINES);
  return {
    lines: ranks.map((rank) => ({ label: `worker ${rank}`, colour: COLOURS[rank % COLOURS.length], stepped: prefix === "share" })),
    values: ranks.map((rank) => pick(reports.filter((report) => `${prefix}/${rank}` in report.values), `${prefix}/${rank}`)),
  };
}

/** Of each worker's samples, its part of the whole in percent. */
function parts(reports) {
  return reports.filter((report) => Object.keys(report.values).some((name) => name.startsWith("share/"))).map((report) => {
    const shares = Object.entries(report.values).filter(([name]) => name.startsWith("share/"));
    const whole = shares.reduce((sum, [, value]) => sum + value, 0) || 1;
    return { ...report, values: Object.fromEntries(shares.map(([name, value]) => [name, (100 * value) / whole])) };
  });
}

/** How many workers trained, over time. A group says so with each generation, other tasks as they start. */
function sizes(events, live) {
  const found = new Map();
  for (const event of events) {
    if (event.kind === "task-regrouped") found.set(event.time, event.detail.members.length);
    else if (event.kind === "task-started") found.set(event.time, event.detail.workers ?? 1);
    else if (OVER.has(event.kind)) found.set(event.time, 0);
  }
  if (live && found.size) found.set(now(), [...found.values()].at(-1));
  return found;
}

export function openGroup(body, context) {
  const workers = new Timeline("Workers", [{ label: "workers", colour: "running", stepped: true }], { height: HEIGHT });
  const speed = new Timeline("Throughput", [{ label: "samples per second", colour: "accent" }], { height: HEIGHT });
  const shares = new Timeline("Shares of the batch", [], { height: HEIGHT });
  const speeds = new Timeline("Speed of each worker", [], { height: HEIGHT });
  const measured = h("p", { class: "muted", hidden: true }, "Throughput, shares and speeds are told by groups that use trainmaster.train.");
  const rows = h("tbody");
  const none = h("p", { class: "muted" }, "Nothing yet: the history of its workers begins when it starts.");
  const table = h("table", { class: "table", hidden: true }, h("caption", { class: "sr" }, "Generations"),
    h("thead", null, h("tr", null, ["Time", "What happened", "Workers", "Lasted", "Why"].map((label) => h("th", { scope: "col" }, label)))), rows);
  body.append(h("div", { class: "tab-scroll group-box", tabindex: "0" },
    h("div", { class: "charts" }, workers.element, speed.element, shares.element, speeds.element), measured, table, none));

  const events = [];
  const reports = [];
  let last = 0;
  let since = 0;
  let busy = false;
  let closed = false;

  function draw() {
    const live = context.task().ended_at === null;
    const size = sizes(events, live);
    const lately = reports.findLast((report) => "samples_s" in report.values);
    workers.element.hidden = !size.size;
    workers.show([size], size.size ? `${live ? "now" : "at last"} ${live ? [...size.values()].at(-1) : Math.max([...size.values()].at(-2) ?? 0, 0)}` : "");
    for (const chart of [speed, shares, speeds]) chart.element.hidden = !lately;
    measured.hidden = Boolean(lately) || !events.length;
    if (lately) {
      speed.show([pick(reports, "samples_s")], `${live ? "now" : "at last"} ${short(lately.values.samples_s)} samples/s`);
      const share = byRank(parts(reports), "share");
      shares.show(share.values, "% of the samples of a step", share.lines);
      const each = byRank(reports, "speed");
      speeds.show(each.values, "samples/s while it computes", each.lines);
    }
    table.hidden = !events.length;
    none.hidden = events.length > 0;
    keep(rows, [events.length, live && Math.floor(now())], () => events.map((event, at) => row(event, at, live)).reverse());
  }

  function row(event, at, live) {
    const { generation, members, before, workers: wanted } = event.detail;
    const next = events.slice(at + 1).find((later) => later.kind === "task-regrouped" || OVER.has(later.kind));
    const lasted = members ? (next ? next.time - event.time : live ? now() - event.time : null) : null;
    const who = members ? `${members.length}: ${members.join(", ")}` : before !== undefined ? `${before} → ${wanted}` : wanted ?? "";
    return h("tr", null,
      h("td", { class: "cut", title: absolute(event.time) }, moment(event.time, now())),
      h("td", null, h("span", { class: "state" }, eventSignal(event.kind), generation ? `generation ${generation}` : happened(event.kind))),
      h("td", { class: "cut", title: members ? `${count(members.length, "worker")}, the first leads` : null }, who),
      h("td", { class: "muted cut" }, lasted === null ? "" : duration(lasted)),
      h("td", null, linked(event.reason)));
  }

  async function load() {
    if (busy) return;
    busy = true;
    try {
      for (let full = true; full && !closed; ) {
        const page = await get(`/tasks/${context.id}/events`, { after: last, limit: PAGE });
        last = page.next;
        full = page.events.length >= PAGE;
        events.push(...page.events.filter((event) => TOLD.has(event.kind)));
      }
      for (let full = true; full && !closed; ) {
        const page = await get(`/tasks/${context.id}/metrics`, { after: since, limit: METRICS });
        since = page.at(-1)?.time ?? since;
        full = page.length >= METRICS;
        reports.push(...page.filter((report) => Object.keys(report.values).some((name) => OF_GROUP.test(name))));
      }
      if (!closed) draw();
    } catch {
      // The live mark tells; the next round tries again.
    } finally {
      busy = false;
    }
  }

  load();
  const timer = setInterval(() => document.hidden || (context.task().ended_at === null && load()), LIVE_MS);
  const stop = context.onEvents(load);
  return {
    close() {
      closed = true;
      clearInterval(timer);
      stop();
      for (const chart of [workers, speed, shares, speeds]) chart.close();
    },
  };
}
