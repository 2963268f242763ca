// Triggers: a strip of time for each, what is due next, and how the latest firing went.

import { get } from "../api.js";
import { h, keep, setText } from "../dom.js";
import { count } from "../format.js";
import { onEvents } from "../live.js";
import { may } from "../rights.js";
import { go, query, setQuery, title } from "../router.js";
import { attempt } from "../toast.js";
import { now, when } from "../time.js";
import { actions } from "../triggers/actions.js";
import { askForTrigger } from "../triggers/form.js";
import { axis, strip } from "../triggers/strip.js";
import { address, next, outcomeMark, rule, started, target } from "../triggers/words.js";

const REFRESH_MS = 15_000;
const ABOUT = /^(trigger-|firing-|(task|workflow)-(submitted|started|succeeded|failed|cancelled))/;
const SPANS = { hour: 3600, day: 86_400, week: 7 * 86_400 };
const PAST = 0.25; // of the strip
const COMING = 400;
const FIRINGS = 2000;

export function openTriggers(outlet) {
  title("Triggers");
  const total = h("span", { class: "muted grow" });
  const spans = h("div", { class: "segments", role: "group", "aria-label": "Length of the strips" });
  const list = h("div", { class: "triggers" });
  const make = h("button", { type: "button", class: "primary", disabled: !may("submitter"), onclick: () => attempt(() => askForTrigger((made) => go(`/triggers/${made.id}`))) }, "New trigger");
  outlet.append(h("div", { class: "view-head" }, h("h1", null, "Triggers"), total, spans, make), list);
  let closed = false;
  let busy = false;

  const chosen = () => (query().get("span") in SPANS ? query().get("span") : "day");

  function drawSpans() {
    spans.replaceChildren(...Object.keys(SPANS).map((name) =>
      h("button", { type: "button", "aria-pressed": String(name === chosen()), onclick: () => { setQuery({ span: name === "day" ? "" : name }); drawSpans(); load(); } }, name)));
  }

  function row(trigger, firings, span) {
    const latest = firings[0];
    return h("section", { class: "panel trigger", "data-id": trigger.id, "data-paused": trigger.paused },
      h("header", null,
        h("div", { class: "trigger-name" }, h("h2", null, h("a", { href: `/triggers/${trigger.id}` }, trigger.name)), h("span", { class: "muted" }, rule(trigger))),
        actions(trigger, load)),
      h("div", { class: "body" },
        strip(trigger, firings, span),
        h("dl", { class: "trigger-facts" },
          h("div", null, h("dt", null, "next"), h("dd", null, next(trigger))),
          trigger.definition.workflow && h("div", null, h("dt", null, "starts"), h("dd", null, target(trigger))),
          h("div", null, h("dt", null, "latest"), h("dd", null, latest ? [outcomeMark(latest), " ", started(latest) ? h("a", { href: address(started(latest)) }, when(latest.due)) : when(latest.due)] : h("span", { class: "muted" }, "none yet"))),
          trigger.live.length > 0 && h("div", null, h("dt", null, "live"), h("dd", null, count(trigger.live.length, trigger.definition.workflow ? "run" : "task"), trigger.waiting ? `, ${trigger.waiting} waiting` : "")),
          trigger.missed > 0 && h("div", null, h("dt", null, "missed"), h("dd", { class: "bad" }, `${trigger.missed} in a row`)))));
  }

  function draw(triggers, firings) {
    setText(total, triggers.length ? count(triggers.length, "trigger") : "");
    spans.hidden = !triggers.length;
    if (!triggers.length) {
      keep(list, "none", () => h("div", { class: "empty" }, h("p", null, "No triggers yet. One starts a task or a workflow whenever its rule is due:"), h("pre", null, "trainmaster trigger add nightly --cron '30 2 * * *' -- python train.py")));
      return;
    }
    const length = SPANS[chosen()];
    const span = { from: now() - length * PAST, to: now() + length * (1 - PAST) };
    const byTrigger = new Map();
    for (const firing of firings) {
      if (!byTrigger.has(firing.trigger)) byTrigger.set(firing.trigger, []);
      byTrigger.get(firing.trigger).push(firing);
    }
    list.kept = null;
    list.replaceChildren(axis(span), ...triggers.map((trigger) => row(trigger, byTrigger.get(trigger.id) ?? [], span)));
  }

  async function load() {
    if (busy) return;
    busy = true;
    try {
      const [triggers, firings] = await Promise.all([
        get("/triggers", { coming: COMING }),
        get("/firings", { limit: FIRINGS }),
      ]);
      if (!closed) draw(triggers, firings);
    } catch (problem) {
      if (!closed && !list.childElementCount) list.replaceChildren(h("p", { class: "notice" }, problem.message));
    } finally {
      busy = false;
    }
  }

  drawSpans();
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
