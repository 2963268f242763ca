// All workflows, and what ran lately.

import { get } from "../api.js";
import { h, keep } from "../dom.js";
import { duration, moment } from "../format.js";
import { onEvents } from "../live.js";
import { title } from "../router.js";
import { stateMark } from "../states.js";
import { now } from "../time.js";
import { counts, countsKey } from "../workflows/counts.js";

const SHOWN = 30;

function workflowRow(one) {
  return h("tr", null,
    h("td", null, h("a", { href: `/workflows/${one.name}` }, one.name), one.description && h("div", { class: "muted cut" }, one.description)),
    h("td", { class: "num" }, one.stage_count), h("td", { class: "num" }, one.version), h("td", { class: "muted" }, moment(one.created_at, now())));
}

export function runRow(run) {
  return h("tr", null,
    h("td", null, h("a", { class: "mono", href: `/workflows/${run.workflow}/${run.id}` }, run.id)),
    h("td", null, h("a", { href: `/workflows/${run.workflow}` }, run.workflow), h("small", { class: "muted" }, ` v${run.version}`)),
    h("td", null, stateMark(run.state, run.stopping ? "stopping" : "")),
    h("td", { class: "wide" }, counts(run)),
    h("td", { class: "muted" }, moment(run.created_at, now())), h("td", { class: "num" }, duration(run.ran_s)));
}

export const runTable = (runs) => h("div", { class: "scroll-x" }, h("table", { class: "table" },
  h("thead", null, h("tr", null, ["Run", "Workflow", "State", "Stages", "Started", "Took"].map((name) => h("th", { scope: "col", class: name === "Took" && "num" }, name)))),
  h("tbody", null, runs.map(runRow))));

export const runsKey = (runs) => JSON.stringify(runs.map((run) => [run.id, run.state, run.stopping, countsKey(run)]));

export function openWorkflows(outlet) {
  title("Workflows");
  const known = h("section", { class: "panel" });
  const lately = h("section", { class: "panel" });
  outlet.append(h("div", { class: "view-head" }, h("h1", null, "Workflows")), h("div", { class: "flows" }, known, lately));
  let closed = false;

  async function load() {
    const [workflows, page] = await Promise.all([get("/workflows"), get("/workflow-runs", { limit: SHOWN })]).catch(() => [null, null]);
    if (!workflows || closed) return;
    keep(known, workflows.map((one) => [one.name, one.version]), () => workflows.length
      ? [h("header", null, h("h2", null, "Defined")), h("div", { class: "scroll-x" }, h("table", { class: "table" },
        h("thead", null, h("tr", null, h("th", { scope: "col" }, "Name"), h("th", { scope: "col", class: "num" }, "Stages"), h("th", { scope: "col", class: "num" }, "Version"), h("th", { scope: "col" }, "Kept"))),
        h("tbody", null, workflows.map(workflowRow))))]
      : h("div", { class: "empty" }, h("p", null, "No workflow yet. Write its stages into a file and run it:"), h("pre", { class: "code" }, "trainmaster workflow run nightly.yaml")));
    lately.hidden = !page.runs.length;
    keep(lately, runsKey(page.runs), () => [h("header", null, h("h2", null, "Latest runs")), runTable(page.runs)]);
  }

  load();
  const timer = setInterval(() => document.hidden || load(), 3000);
  const stop = onEvents((events) => events.some((event) => event.kind.startsWith("workflow-")) && load());
  return {
    close() {
      closed = true;
      clearInterval(timer);
      stop();
    },
  };
}
