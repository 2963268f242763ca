// Some weeks of one trigger on its own clock: how many due times each day has, and what became of them.

import { h } from "../dom.js";
import { count } from "../format.js";
import { now } from "../time.js";

const DAY = 86_400;
const BEFORE = 3; // weeks
const AFTER = 3;

const formats = new Map();

function dayOf(time, zone) {
  if (!formats.has(zone)) formats.set(zone, new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" }));
  return formats.get(zone).format(new Date(time * 1000)); // 2026-11-25
}

/** The earliest due time that is shown. */
export const calendarBegin = () => now() - (BEFORE + 1) * 7 * DAY;

function tally(trigger, firings, zone) {
  const days = new Map();
  const of = (time) => {
    const day = dayOf(time, zone);
    if (!days.has(day)) days.set(day, { fired: 0, bad: 0, coming: 0 });
    return days.get(day);
  };
  for (const row of firings) {
    const day = of(row.due);
    if (row.outcome === "missed" || row.outcome === "skipped" || row.state === "FAILED") day.bad += 1;
    else day.fired += 1;
  }
  for (const time of trigger.coming) of(time).coming += 1;
  return days;
}

function told(day) {
  const parts = [day.fired && `${day.fired} fired`, day.bad && `${day.bad} missed, skipped or failed`, day.coming && `${day.coming} to come`];
  return parts.filter(Boolean).join(", ") || "nothing is due";
}

export function calendar(trigger, firings) {
  const zone = trigger.definition.zone;
  const days = tally(trigger, firings, zone);
  const today = dayOf(now(), zone);
  // Days are counted on the calendar alone, where every one has 24 hours.
  const noon = Date.parse(`${today}T12:00:00Z`) / 1000;
  const weekday = (new Date(noon * 1000).getUTCDay() + 6) % 7;
  const most = Math.max(...[...days.values()].map((day) => day.fired + day.bad + day.coming), 1);
  const cells = [];
  for (let n = -weekday - BEFORE * 7; n < (AFTER + 1) * 7 - weekday; n += 1) {
    const name = new Date((noon + n * DAY) * 1000).toISOString().slice(0, 10);
    const day = days.get(name) ?? { fired: 0, bad: 0, coming: 0 };
    const all = day.fired + day.bad + day.coming;
    const tone = day.bad ? "failed" : day.fired ? "succeeded" : day.coming ? "accent" : "none";
    const cell = h("td", { "data-tone": tone, "data-today": name === today ? "" : null, title: `${name}: ${told(day)}` },
      h("span", { class: "day" }, String(Number(name.slice(8)))), h("span", { class: "number" }, all ? String(all) : ""));
    cell.style.setProperty("--full", String(all ? 0.08 + 0.32 * (all / most) : 0));
    cells.push(cell);
  }
  const weeks = [];
  for (let n = 0; n < cells.length; n += 7) weeks.push(h("tr", null, cells.slice(n, n + 7)));
  return h("table", { class: "calendar", "aria-label": `${count(days.size, "day")} with due times, on the clock of ${zone}` },
    h("thead", null, h("tr", null, ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", null, weeks));
}
