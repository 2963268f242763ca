// A strip of time for each trigger: what became of past due times, and those to come.

import { h, svg } from "../dom.js";
import { clock, count, moment } from "../format.js";
import { now } from "../time.js";
import { outcomeTone } from "./words.js";

const WIDE = 1000;
const HIGH = 20;

/** Where between `from` and `to` a time is, 0 to WIDE. */
const at = (time, span) => ((time - span.from) / (span.to - span.from)) * WIDE;

function tick(time, span, properties) {
  return svg("rect", { x: at(time, span) - 1.5, y: 3, width: 3, height: HIGH - 6, ...properties });
}

/** Even marks of the axis: whole hours, days or minutes by what fits. */
function marks(span) {
  const seconds = span.to - span.from;
  const step = [300, 900, 3600, 10_800, 21_600, 86_400, 2 * 86_400, 7 * 86_400].find((one) => seconds / one <= 9) ?? 14 * 86_400;
  const zone = new Date(span.from * 1000).getTimezoneOffset() * 60;
  const found = [];
  for (let time = Math.ceil((span.from - zone) / step) * step + zone; time < span.to; time += step) found.push(time);
  return { found, days: step >= 86400 };
}

export function axis(span) {
  const { found, days } = marks(span);
  return h("div", { class: "strip-axis", "aria-hidden": "true" },
    svg("svg", { viewBox: `0 0 ${WIDE} 14`, preserveAspectRatio: "none" }, found.map((time) => svg("line", { x1: at(time, span), x2: at(time, span), y1: 8, y2: 14 }))),
    h("ol", null, found.map((time) => {
      const label = h("li", null, days ? moment(time, 0).split(" ").slice(0, 2).join(" ") : clock(time).slice(0, 5));
      label.style.left = `${at(time, span) / 10}%`;
      return label;
    })));
}

/** One trigger's strip. `firings` are of this trigger. */
export function strip(trigger, firings, span) {
  const past = firings.filter((row) => row.due >= span.from && row.due <= span.to);
  const coming = trigger.coming.filter((time) => time <= span.to);
  const bad = past.filter((row) => row.outcome === "missed" || row.outcome === "skipped").length;
  const told = `${count(past.length, "firing")} shown${bad ? `, ${bad} of them missed or skipped` : ""}; ${count(coming.length, "due time")} to come`;
  return svg("svg", { class: "strip", viewBox: `0 0 ${WIDE} ${HIGH}`, preserveAspectRatio: "none", role: "img", "aria-label": `${trigger.name}: ${told}` },
    svg("rect", { class: "ahead", x: at(now(), span), y: 0, width: Math.max(WIDE - at(now(), span), 0), height: HIGH }),
    past.filter((row) => row.due <= now()).map((row) => tick(row.due, span, { "data-tone": row.state === "FAILED" ? "failed" : outcomeTone(row.outcome) })),
    coming.map((time) => tick(time, span, { class: "due" })),
    svg("line", { class: "now", x1: at(now(), span), x2: at(now(), span), y1: 0, y2: HIGH }));
}
