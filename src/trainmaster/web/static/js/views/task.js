// One task: what it is, what it does, and why.

import { get, post } from "../api.js";
import { h, keep, setAttribute, setText } from "../dom.js";
import { bytes, cores, duration, short } from "../format.js";
import { onEvents } from "../live.js";
import { linked } from "../parts/ids.js";
import { mayChange } from "../rights.js";
import { title } from "../router.js";
import { ENDED, ON_NODES, setState } from "../states.js";
import { openAttempts } from "../task/attempts.js";
import { openCurves } from "../task/curves.js";
import { openDefinition } from "../task/definition.js";
import { openGroup } from "../task/group.js";
import { openHistory } from "../task/history.js";
import { openLog } from "../task/log.js";
import { drawTrack } from "../task/track.js";
import { openWhy } from "../task/why.js";
import { now } from "../time.js";
import { attempt } from "../toast.js";

const TABS = [
  ["log", "Log", openLog],
  ["curves", "Curves", openCurves],
  ["group", "Workers", openGroup],
  ["history", "History", openHistory],
  ["attempts", "Attempts", openAttempts],
  ["definition", "Definition", openDefinition],
  ["why", "Why", openWhy],
];
const LIVE_MS = 2000;
const DEAR_S = 60; // what ran longer than this is not ended by one slip of the hand

// The last task looked at, so that changing the tab draws its head at once.
let remembered = null;

export function openTask(outlet, { task: id, tab = "log" }) {
  const [key, , openTab] = TABS.find(([name]) => name === tab) ?? TABS[0];
  const parts = {
    name: h("h1", { class: "cut" }),
    state: h("span", { class: "state" }),
    reason: h("p", { class: "muted reason cut" }),
    actions: h("div", { class: "actions" }),
    track: h("ol", { class: "track-line", "aria-label": "Life of the task" }),
    facts: h("dl", { class: "head-facts" }),
  };
  const body = h("section", { class: "tab-body" });
  const tabs = h("nav", { class: "tabs", "aria-label": "Parts of the task" }, TABS.map(([name, label]) =>
    h("a", { href: `/tasks/${id}/${name}`, "aria-current": name === key && "page" }, label)));
  const head = h("header", { class: "task-head" },
    h("div", { class: "task-title" }, h("a", { href: "/tasks", class: "muted" }, "Tasks"), h("span", { class: "muted", "aria-hidden": "true" }, "/"), parts.name,
      h("button", { type: "button", class: "quiet mono", title: "Copy the id", onclick: () => attempt(() => navigator.clipboard.writeText(id), "Copied.") }, id),
      parts.state, parts.reason, parts.actions),
    parts.track, parts.facts);
  outlet.append(head, tabs, body);
  outlet.classList.add("fixed", "task-view");

  const watchers = new Set();
  let task = remembered?.id === id ? remembered : null;
  let closed = false;
  let opened = null;

  function draw() {
    title(task.name);
    setText(parts.name, task.name);
    setState(parts.state, task.state, task.stopping ? `stopping (${task.stopping})` : "");
    keep(parts.reason, task.reason, () => linked(task.reason));
    setAttribute(parts.reason, "title", task.reason || null);
    drawTrack(parts.track, task);
    drawFacts(parts.facts, task);
    drawActions(parts.actions, task, refresh);
    setAttribute(tabs.querySelector(`[href$="/group"]`), "hidden", key !== "group" && task.max_workers === 1 ? "" : null);
    for (const watcher of watchers) watcher(task);
  }

  async function refresh() {
    let told;
    try {
      told = await get(`/tasks/${id}`);
    } catch (problem) {
      if (!task && !closed) outlet.replaceChildren(h("div", { class: "empty big" }, h("h1", null, problem.message), h("p", { class: "muted" }, problem.remedy), h("a", { href: "/tasks" }, "All tasks")));
      return;
    }
    if (closed) return;
    task = remembered = told;
    draw();
    openOnce();
  }

  function openOnce() {
    opened ??= openTab(body, {
      id: task.id,
      task: () => task,
      /** Told of every change of the task. */
      onTask: (watcher) => (watchers.add(watcher), () => watchers.delete(watcher)),
      /** Told of events of this task. */
      onEvents: (watcher) => onEvents((events) => {
        const mine = events.filter((event) => event.task === task.id);
        if (mine.length) watcher(mine);
      }),
    }) ?? {};
  }

  if (task) {
    draw();
    openOnce();
  }
  refresh();
  const stop = onEvents((events) => events.some((event) => event.task === (task?.id ?? id)) && refresh());
  const timer = setInterval(() => {
    if (!document.hidden && task && !ENDED.has(task.state)) refresh();
  }, LIVE_MS);
  return {
    close() {
      closed = true;
      outlet.classList.remove("fixed", "task-view");
      clearInterval(timer);
      stop();
      opened?.close?.();
    },
  };
}

function drawFacts(box, task) {
  const live = ON_NODES.includes(task.state) && task.started_at !== null;
  const waits = task.first_started_at === null && task.ended_at === null;
  const bounds = task.max_workers > task.min_workers ? ` of ${task.min_workers} to ${task.max_workers}` : "";
  const needs = [task.cpus && cores(task.cpus), task.memory && bytes(task.memory), task.gpus && `${task.gpus} GPU${task.gpus === 1 ? "" : "s"}`].filter(Boolean).join(", ");
  const facts = [
    ["Attempt", task.attempt || "none yet"],
    ["Workers", task.workers ? `${task.workers}${bounds}` : `${task.min_workers}${task.max_workers > task.min_workers ? ` to ${task.max_workers}` : ""} wanted`],
    task.nodes.length && ["Nodes", task.nodes.join(", ")],
    ["Each", needs || "–"],
    ["Priority", `${task.urgency} ${short(task.priority)}`],
    ["User", task.user],
    task.workflow_run && ["Workflow", `${task.workflow_run}, ${task.stage}`],
    ["Waited", task.waited_s, waits],
    task.first_started_at !== null && ["Ran", task.ran_s, live],
    task.exit_code !== null && ["Exit code", task.exit_code],
  ].filter(Boolean);
  keep(box, [facts.map(([, value, grows]) => (grows ? true : value)), task.attempt], () =>
    facts.map(([label, value, grows]) => h("div", null, h("dt", null, label),
      h("dd", { class: "cut", title: String(value) }, typeof value === "number" && ["Waited", "Ran"].includes(label)
        ? h("span", grows ? { "data-since": now(), "data-base": value } : null, duration(value))
        : label === "Workflow"
          ? h("a", { href: `/workflows/run/${task.workflow_run}?stage=${encodeURIComponent(task.stage)}` }, task.stage)
          : String(value)))));
}

const MOST_OFFERED = 64;

/** How many workers the task shall have: a number, or what the policy gives. */
function workerCount(task, refresh) {
  const counts = [];
  for (let count = task.min_workers; count <= Math.min(task.max_workers, task.min_workers + MOST_OFFERED); count++) counts.push(count);
  const choice = h("select", {
    id: "resize-task",
    "aria-label": "Workers",
    onchange: () => {
      const workers = choice.value === "auto" ? null : Number(choice.value);
      attempt(() => post(`/tasks/${task.id}/resize`, { workers }), workers ? `It shall have ${workers} workers.` : "The policy decides again.").then(refresh, refresh);
    },
  }, h("option", { value: "auto" }, "workers: auto"), counts.map((count) => h("option", { value: String(count) }, `workers: ${count}`)));
  choice.value = task.pinned === null ? "auto" : String(task.pinned);
  return choice;
}

const sure = (task) => task.ran_s < DEAR_S || confirm(`${task.name} has run for ${duration(task.ran_s)}. Cancel it?`);

function drawActions(box, task, refresh) {
  const able = mayChange(task) && !ENDED.has(task.state);
  const change = (body, done) => attempt(() => post(`/tasks/${task.id}/priority`, body), done).then(refresh);
  const elastic = task.max_workers > task.min_workers && task.elasticity !== "none";
  keep(box, [able, task.stopping, task.urgency, task.pinned, task.ran_s < DEAR_S], () => {
    if (!able) return [];
    const urgency = h("select", { "aria-label": "Urgency", onchange: () => change({ urgency: urgency.value }, `Urgency is now ${urgency.value}.`) },
      ["normal", "urgent", "highest"].map((one) => h("option", { value: one }, one)));
    urgency.value = task.urgency;
    return [
      h("span", { class: "pair", role: "group", "aria-label": "Priority" },
        h("button", { type: "button", title: "Lower the priority by one request", "aria-label": "Priority −1", onclick: () => change({ bumps: -1 }, "Priority lowered.") }, "−1"),
        h("button", { type: "button", title: "Raise the priority by one request", "aria-label": "Priority +1", onclick: () => change({ bumps: 1 }, "Priority raised.") }, "+1")),
      urgency,
      elastic && workerCount(task, refresh),
      h("button", { type: "button", class: "danger", id: "cancel-task", disabled: task.stopping === "cancel", onclick: () => sure(task) && attempt(() => post(`/tasks/${task.id}/cancel`), "Cancelling: its workers are being ended.").then(refresh) },
        task.stopping === "cancel" ? "Cancelling…" : "Cancel"),
    ];
  });
  setAttribute(box, "hidden", able ? null : "");
}
