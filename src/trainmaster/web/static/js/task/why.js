// Why the task is where it is, in the scheduler's own words.

import { get } from "../api.js";
import { h, keep } from "../dom.js";
import { linked } from "../parts/ids.js";

const LIVE_MS = 3000;

export function openWhy(body, context) {
  const box = h("div", { class: "tab-scroll padded why-box", tabindex: "0", "aria-live": "polite" });
  body.append(box);
  const names = new Map();

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
    keep(box, [told, [...names]], () => [
      h("p", { class: "headline-text" }, told.headline),
      h("dl", { class: "facts" }, told.facts.map((fact) => [h("dt", null, fact.topic), h("dd", null, linked(fact.text, names))])),
    ]);
  }

  load();
  const timer = setInterval(() => document.hidden || (context.task().ended_at === null && load()), LIVE_MS);
  const stop = context.onEvents(load);
  return { close: () => (clearInterval(timer), stop()) };
}
