// How many stages are where: a bar of one width and the numbers in words.

import { h } from "../dom.js";
import { tone, word } from "../states.js";

const ORDER = ["SUCCEEDED", "FAILED", "RUNNING", "READY", "SKIPPED", "CANCELLED", "WAITING"];

export const countsKey = (run) => JSON.stringify([run.counts, run.stage_count]);

export function counts(run) {
  const known = ORDER.filter((state) => run.counts[state]);
  return h("div", { class: "flow-counts" },
    h("div", { class: "flow-bar", "aria-hidden": "true" }, known.map((state) => {
      const part = h("span", { "data-tone": tone(state), "data-state": state });
      part.style.flexGrow = run.counts[state];
      return part;
    })),
    h("span", { class: "muted" }, known.map((state) => `${run.counts[state]} ${word(state).toLowerCase()}`).join(" · ")));
}
