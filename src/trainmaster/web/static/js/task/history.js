// Every event of a task, with its reason.

import { get } from "../api.js";
import { h } from "../dom.js";
import { absolute, duration, moment } from "../format.js";
import { eventSignal, happened, why } from "../parts/events.js";
import { linked } from "../parts/ids.js";
import { now } from "../time.js";

const PAGE = 1000;

export function openHistory(body, context) {
  const rows = h("tbody");
  const more = h("button", { type: "button", hidden: true, onclick: () => load() }, "Load more");
  body.append(h("div", { class: "tab-scroll", tabindex: "0" }, h("table", { class: "table" },
    h("caption", { class: "sr" }, "History"),
    h("thead", null, h("tr", null, ["Time", "After", "What happened", "Attempt", "Why"].map((label) => h("th", { scope: "col" }, label)))), rows), more));
  let last = 0;
  let first = null;
  const shown = new Set();

  function add(events) {
    for (const event of events) {
      if (shown.has(event.seq)) continue;
      shown.add(event.seq);
      first ??= event.time;
      const detail = Object.entries(event.detail).map(([name, value]) => `${name}: ${JSON.stringify(value)}`).join(", ");
      rows.append(h("tr", null,
        h("td", { class: "cut", title: absolute(event.time) }, moment(event.time, now())),
        h("td", { class: "muted cut" }, `+${duration(event.time - first)}`),
        h("td", null, h("span", { class: "state" }, eventSignal(event.kind), happened(event.kind))),
        h("td", { class: "muted" }, event.attempt || ""),
        h("td", { title: detail }, linked(why(event)), event.detail.exit_code !== undefined && event.detail.exit_code !== null && h("span", { class: "muted" }, ` (exit ${event.detail.exit_code})`))));
    }
  }

  async function load() {
    const page = await get(`/tasks/${context.id}/events`, { after: last, limit: PAGE }).catch(() => null);
    if (!page) return;
    last = page.next;
    more.hidden = page.events.length < PAGE;
    add(page.events);
  }

  load();
  return { close: context.onEvents(() => more.hidden && load()) };
}
