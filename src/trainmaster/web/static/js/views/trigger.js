// One trigger: its rule, what is due next on its own clock, and what became of every due time.

import { get } from "../api.js";
import { h, setText } from "../dom.js";
import { absolute, count, duration, moment } from "../format.js";
import { onEvents } from "../live.js";
import { title } from "../router.js";
import { stateMark } from "../states.js";
import { now } from "../time.js";
import { actions } from "../triggers/actions.js";
import { calendar, calendarBegin } from "../triggers/calendar.js";
import { axis, strip } from "../triggers/strip.js";
import { address, local, outcomeMark, rule, started, target } from "../triggers/words.js";

const REFRESH_MS = 15_000;
const ABOUT = /^(trigger-|firing-|(task|workflow)-(submitted|started|succeeded|failed|cancelled))/;
const COMING = 1000;
const SHOWN = 8;
const FIRINGS = 200;
const COUNTED = 10_000; // for the calendar
const TICKS = 60; // periods shown in the strip
const DAY = 86_400;

function facts(trigger) {
  const given = trigger.definition;
  const rows = [
    ["Rule", rule(trigger)],
    ["Starts", h("code", null, target(trigger))],
    ["Late", `${given.misfire}; up to ${duration(given.grace)} is in time`],
    ["Overlapping", given.overlap],
    trigger.gap && ["Clock changes", `a time that does not exist: ${trigger.gap}; that comes twice: ${trigger.fold}`],
    given.jitter && ["Jitter", `starts up to ${duration(given.jitter)} later`],
    given.exclude && ["Excluded", given.exclude.join(", ")],
    given.deadline && ["Deadline", `${duration(given.deadline)} after it is due`],
    trigger.live.length && ["Live", trigger.live.map((one) => [h("a", { href: address(one) }, one), " "])],
    trigger.waiting && ["Waiting", count(trigger.waiting, "firing")],
    ["Owner", trigger.user],
  ];
  return h("dl", { class: "facts" }, rows.filter(Boolean).map(([name, text]) => [h("dt", null, name), h("dd", null, text)]));
}

function history(firings) {
  if (!firings.length) return h("p", { class: "muted" }, "Nothing was due yet.");
  return h("div", { class: "scroll-x" }, h("table", { class: "table firings" },
    h("thead", null, h("tr", null, ["Due", "Outcome", "Started", "Delay", "Why"].map((name) => h("th", { class: name === "Delay" ? "num" : null }, name)))),
    h("tbody", null, firings.map((row) => {
      const delay = row.started_at === null || row.cause === "backfill" ? null : Math.max(row.started_at - row.due, 0);
      return h("tr", null,
        h("td", null, h("time", { title: absolute(row.due) }, moment(row.due, now()))),
        h("td", null, outcomeMark(row)),
        h("td", null, started(row) && h("a", { href: address(started(row)) }, row.state ? stateMark(row.state) : started(row))),
        h("td", { class: "num" }, delay === null ? "–" : delay < 1 ? `${Math.round(delay * 1000)} ms` : duration(delay)),
        h("td", { class: "muted" }, row.reason));
    }))));
}

export function openTrigger(outlet, { trigger: id }) {
  title("Trigger");
  const heading = h("h1");
  const buttons = h("span");
  const chip = h("span", { class: "chip", hidden: true }, "paused");
  const body = h("div", { class: "trigger-page" });
  outlet.append(h("div", { class: "view-head" }, heading, chip, h("span", { class: "grow" }), buttons), body);
  let closed = false;

  function draw(trigger, firings, counted) {
    title(trigger.name);
    setText(heading, trigger.name);
    chip.hidden = !trigger.paused;
    buttons.replaceChildren(actions(trigger, load));
    const length = Math.min(Math.max((trigger.period ?? DAY) * TICKS, 600), 60 * DAY);
    const span = { from: now() - length / 2, to: now() + length / 2 };
    const zone = trigger.definition.zone;
    const ahead = trigger.coming.slice(0, SHOWN);
    body.replaceChildren(
      h("section", { class: "panel trigger" }, h("div", { class: "body" }, axis(span), strip(trigger, firings, span))),
      h("div", { class: "trigger-columns" },
        h("section", { class: "panel" }, h("header", null, h("h2", null, "Rule")), h("div", { class: "body" }, facts(trigger))),
        h("section", { class: "panel" }, h("header", null, h("h2", null, "Next"), h("span", { class: "muted" }, zone)), h("div", { class: "body" },
          ahead.length ? h("ol", { class: "due-times" }, ahead.map((time) => h("li", { title: absolute(time) }, local(time, zone)))) : h("p", { class: "muted" }, trigger.paused ? "It is paused." : trigger.live.length ? "Counted from the end of what it started." : "It is never due again.")))),
      h("section", { class: "panel" }, h("header", null, h("h2", null, "Calendar"), h("span", { class: "muted" }, counted.length === COUNTED ? `the latest ${COUNTED} firings` : zone)), h("div", { class: "body" }, calendar(trigger, counted))),
      h("section", { class: "panel" }, h("header", null, h("h2", null, "History"), h("span", { class: "muted" }, firings.length === FIRINGS ? `the latest ${FIRINGS}` : count(firings.length, "firing"))), h("div", { class: "body flush" }, history(firings))));
  }

  async function load() {
    try {
      const [trigger, counted] = await Promise.all([
        get(`/triggers/${encodeURIComponent(id)}`, { coming: COMING }),
        get(`/triggers/${encodeURIComponent(id)}/firings`, { since: calendarBegin(), limit: COUNTED }),
      ]);
      const latest = counted.length ? counted.slice(0, FIRINGS) : await get(`/triggers/${encodeURIComponent(id)}/firings`, { limit: FIRINGS });
      if (!closed) draw(trigger, latest, counted);
    } catch (problem) {
      if (!closed && !body.childElementCount) body.replaceChildren(h("p", { class: "notice" }, problem.message));
    }
  }

  load();
  const timer = setInterval(() => document.hidden || load(), REFRESH_MS);
  const stop = onEvents((events) => events.some((event) => ABOUT.test(event.kind)) && load());
  return {
    close() {
      closed = true;
      clearInterval(timer);
      stop();
    },
  };
}
