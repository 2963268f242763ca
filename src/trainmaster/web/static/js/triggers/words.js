// Triggers in words: their rule, their next due time, and what became of a due time.

import { h, icon } from "../dom.js";
import { absolute, duration, moment } from "../format.js";
import { now } from "../time.js";

// Shape and tone of each outcome: the same as those of the task states nearest to them.
const OUTCOMES = {
  fired: ["s-succeeded", "succeeded"],
  waiting: ["s-queued", "waiting"],
  skipped: ["s-cancelled", "cancelled"],
  missed: ["s-failed", "failed"],
};

export const outcomeTone = (outcome) => OUTCOMES[outcome]?.[1] ?? "blocked";

export function outcomeMark(firing) {
  const [shape, tone] = OUTCOMES[firing.outcome] ?? ["s-submitted", "blocked"];
  const note = firing.cause === "schedule" ? "" : firing.cause === "manual" ? "by hand" : "back-fill";
  return h("span", { class: "state", "data-tone": tone }, icon(shape, { class: "signal", "data-tone": tone }), h("span", null, firing.outcome), note && h("span", { class: "muted note" }, note));
}

/** "30 2 * * * · Europe/Berlin" */
export function rule(trigger) {
  const given = trigger.definition;
  const excluded = given.exclude?.length ? `, less ${given.exclude.length} excluded` : "";
  if (given.cron) return `${given.cron} · ${given.zone}${excluded}`;
  if (given.every !== undefined) return `every ${duration(given.every)}${given.after_end ? " after the end" : ""}${excluded}`;
  return `once, ${absolute(given.at)}`;
}

/** Where what was started is looked at: a task, or a run of a workflow. */
export const address = (started) => (started.startsWith("w-") ? `/workflows/run/${started}` : `/tasks/${started}`);

/** What a firing started, if anything. */
export const started = (firing) => firing.task ?? firing.run;

/** What it starts, in one line; a workflow is a link. */
export function target(trigger) {
  const { task, workflow, version, parameters } = trigger.definition;
  if (workflow) {
    const values = Object.entries(parameters ?? {}).map(([name, value]) => `${name} = ${typeof value === "string" ? value : JSON.stringify(value)}`);
    return ["workflow ", h("a", { href: `/workflows/${encodeURIComponent(workflow)}` }, workflow), version ? ` version ${version}` : "", values.length ? ` with ${values.join(", ")}` : ""];
  }
  return task.function || (task.command ?? []).join(" ") || task.image || "";
}

export function next(trigger) {
  if (trigger.paused) return h("span", { class: "chip" }, "paused");
  if (trigger.next === null) return h("span", { class: "muted" }, trigger.live.length ? "after the end" : "never again");
  return h("time", { datetime: new Date(trigger.next * 1000).toISOString(), title: absolute(trigger.next) }, moment(trigger.next, now()));
}

const formats = new Map();

/** On the clock of the trigger's own zone. */
export function local(time, zone) {
  if (!formats.has(zone)) {
    formats.set(zone, new Intl.DateTimeFormat(undefined, { timeZone: zone, weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false, timeZoneName: "short" }));
  }
  return formats.get(zone).format(new Date(time * 1000));
}
