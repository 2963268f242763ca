// Why the task is where it is, in the scheduler's own words.

import { get } from "../api.js";
import { h, keep } from "../dom.js";
import { linked } from "../parts/ids.js";

const LIVE_MS = 3000;
const FORESIGHT_MS = 15_000; // a simulation is behind it

export function openWhy(body, context) {
  const box = h("div", { class: "tab-scroll padded why-box", tabindex: "0", "aria-live": "polite" });
  body.append(box);
  const names = new Map();
  let expected = "";

  /** The names of those ahead, so that the sentence about them can be read. */
  async function learn(ids) {
    const unknown = ids.filter((id) => !names.has(id));
    const tasks = await Promise.all(unknown.map((id) => get(`/tasks/${id}`).catch(() => null)));
    for (const task of tasks) if (task) names.set(task.id, task.name);
  }

  async function load() {
    const told = await get(`/tasks/${context.id}/explain`).catch(() => null);
    if (!told) return;
    await learn(told.ahead);
    const facts = expected && context.task().ended_at === null ? [...told.facts, { topic: "expected", text: `${expected} (simulated)` }] : told.facts;
    keep(box, [told, facts, [...names]], () => [
      h("p", { class: "headline-text" }, told.headline),
      h("dl", { class: "facts" }, facts.map((fact) => [h("dt", null, fact.topic), h("dd", null, linked(fact.text, names))])),
    ]);
  }

  async function lookAhead() {
    if (document.hidden || context.task().ended_at !== null) return;
    expected = (await get(`/tasks/${context.id}/expected`).catch(() => null))?.told ?? "";
    load();
  }

  load();
  lookAhead();
  const timers = [
    setInterval(() => document.hidden || (context.task().ended_at === null && load()), LIVE_MS),
    setInterval(lookAhead, FORESIGHT_MS),
  ];
  const stop = context.onEvents(load);
  return { close: () => (timers.forEach(clearInterval), stop()) };
}
