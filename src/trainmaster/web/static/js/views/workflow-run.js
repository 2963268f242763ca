// One run of a workflow: the graph in the colours of the moment, and each stage with its reason.

import { get, post } from "../api.js";
import { h, keep, setText } from "../dom.js";
import { duration, moment, short } from "../format.js";
import { onEvents } from "../live.js";
import { linked } from "../parts/ids.js";
import { mayChange } from "../rights.js";
import { query, setQuery, title } from "../router.js";
import { ENDED, setState, stateMark } from "../states.js";
import { now } from "../time.js";
import { attempt } from "../toast.js";
import { counts, countsKey } from "../workflows/counts.js";
import { Graph } from "../workflows/graph.js";

const LIVE_MS = 1000;
const SHOWN = 100;
const FILTERS = [["All", []], ["Running", ["RUNNING", "READY"]], ["Failed", ["FAILED"]], ["Waiting", ["WAITING"]], ["Ended", ["SUCCEEDED", "SKIPPED", "CANCELLED"]]];

function facts(run) {
  const rows = [["Started", `${moment(run.created_at, now())} by ${run.owner}`], ["Took", duration(run.ran_s)]];
  if (run.trigger) rows.push(["Trigger", [h("a", { href: `/triggers/${run.trigger}` }, run.trigger), `, due ${moment(run.due, now())}`]]);
  if (run.reason) rows.push(["Reason", linked(run.reason)]);
  if (Object.keys(run.parameters).length) rows.push(["Parameters", h("code", null, JSON.stringify(run.parameters).slice(0, 600))]);
  if (Object.keys(run.outputs).length) rows.push(["Outputs", h("code", null, JSON.stringify(run.outputs).slice(0, 600))]);
  if (run.parent) rows.push(["Part of", h("a", { href: `/workflows/run/${run.parent.run}?stage=${run.parent.stage}` }, `${run.parent.run}, ${run.parent.stage}`)]);
  if (run.round) rows.push(["Resumed", `${run.round} times`]);
  if (run.parts !== null) rows.push(["Tasks", `${run.parts_ended} of ${run.parts} known so far have ended`]);
  if (run.forecast_s !== null) rows.push(["Planned", duration(run.forecast_s)]);
  return h("dl", { class: "facts" }, rows.map(([name, text]) => [h("dt", null, name), h("dd", null, text)]));
}

const lasted = (seconds) => (seconds < 1 ? `${short(Math.round(seconds * 1e4) / 10)} ms` : duration(seconds));

const link = (id) => h("a", { class: "mono", href: id.startsWith("w-") ? `/workflows/run/${id}` : `/tasks/${id}` }, id);

function stageDetail(stage) {
  const took = (part) => (part.started_at === null ? "" : lasted((part.ended_at ?? now()) - part.started_at));
  return [
    h("div", { class: "flow-stage-head" }, h("h2", null, stage.name), stateMark(stage.state)),
    h("p", { class: "why" }, linked(stage.why)),
    h("p", { class: "muted" }, stage.definition.kind, " ", h("code", null, stage.definition.what.slice(0, 160)),
      stage.after.length ? ` after ${stage.after.slice(0, 8).join(", ")}${stage.after.length > 8 ? ` and ${stage.after.length - 8} more` : ""} (${stage.when})` : ""),
    stage.tasks.length ? h("div", { class: "scroll-x" }, h("table", { class: "table" },
      h("thead", null, h("tr", null, ["Task", "Part", "State", "Took", "Returned"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", null, stage.tasks.map((part) => h("tr", null, h("td", null, link(part.id)), h("td", null, part.key), h("td", null, stateMark(part.state)), h("td", { class: "num" }, took(part)),
        h("td", null, h("code", { class: "cut" }, part.result === null ? "" : JSON.stringify(part.result).slice(0, 120)))))))) : null,
    stage.next !== null ? h("p", { class: "muted" }, `the first ${stage.tasks.length} of ${stage.parts}`) : null,
  ];
}

export function openWorkflowRun(outlet, { run: id }) {
  title(id);
  const parts = {
    up: h("a", { class: "cut", href: "/workflows" }),
    state: h("span", { class: "state" }),
    cancel: h("button", { type: "button", hidden: true }, "Cancel"),
    resume: h("button", { type: "button", class: "primary", hidden: true, title: "Do again what has not succeeded, and all that follows" }, "Resume"),
    counts: h("div"),
    facts: h("div", { class: "body" }),
    stage: h("section", { class: "panel flow-stage", hidden: true }),
    rows: h("tbody"),
    more: h("p", { class: "muted" }),
  };
  const filters = h("div", { class: "flow-filters", role: "group", "aria-label": "Stages to list" });
  const graph = new Graph(choose);
  outlet.append(
    h("div", { class: "view-head" }, parts.up, h("span", { class: "muted", "aria-hidden": "true" }, "/"), h("h1", { class: "mono" }, id), parts.state, h("span", { class: "grow" }), parts.resume, parts.cancel),
    parts.counts,
    h("div", { class: "flows" },
      h("section", { class: "panel" }, h("header", null, h("h2", null, "Graph")), h("div", { class: "body" }, graph.element)),
      parts.stage,
      h("section", { class: "panel" }, h("header", null, h("h2", null, "Run")), parts.facts),
      h("section", { class: "panel" }, h("header", null, h("h2", null, "Stages"), filters),
        h("div", { class: "scroll-x" }, h("table", { class: "table" },
          h("thead", null, h("tr", null, ["Stage", "State", "Tasks", "Took", "Why"].map((name) => h("th", { scope: "col", class: (name === "Tasks" || name === "Took") && "num" }, name)))), parts.rows)),
        h("div", { class: "body" }, parts.more))));
  let closed = false;
  let run = null;
  let filter = FILTERS[0];
  let busy = false;

  filters.append(...FILTERS.map((one) => {
    const button = h("button", { type: "button", class: "quiet", "aria-pressed": String(one === filter) }, one[0]);
    button.addEventListener("click", () => {
      filter = one;
      for (const other of filters.children) other.setAttribute("aria-pressed", String(other === button));
      loadStages();
    });
    return button;
  }));

  function choose(name) {
    setQuery({ stage: name });
    loadStage();
  }

  async function loadStage() {
    const name = query().get("stage");
    if (!name) return;
    const told = await get(`/workflow-runs/${id}/stages/${encodeURIComponent(name)}`, { limit: SHOWN }).catch(() => null);
    if (!told || closed || query().get("stage") !== name) return;
    parts.stage.hidden = false;
    keep(parts.stage, [told.name, told.state, told.why, told.tasks.map((part) => [part.id, part.state])], () => h("div", { class: "body" }, stageDetail(told)));
  }

  async function loadStages() {
    const page = await get(`/workflow-runs/${id}/stages`, { limit: SHOWN, state: filter[1] }).catch(() => null);
    if (!page || closed) return;
    keep(parts.rows, page.stages.map((stage) => [stage.name, stage.state, stage.why, stage.ended]), () => page.stages.map((stage) => h("tr", null,
      h("td", null, h("button", { type: "button", class: "quiet flow-name", onclick: () => (choose(stage.name), graph.select(stage.name, true)) }, stage.name)),
      h("td", null, stateMark(stage.state)), h("td", { class: "num" }, stage.parts ? `${stage.ended}/${stage.parts}` : ""),
      h("td", { class: "num" }, stage.started_at === null || stage.ended_at === null ? "" : lasted(stage.ended_at - stage.started_at)),
      h("td", { class: "wide" }, linked(stage.why)))));
    setText(parts.more, page.next === null ? "" : `The first ${SHOWN}; the graph has them all.`);
    parts.more.hidden = page.next === null;
  }

  function draw() {
    setText(parts.up, `${run.workflow} v${run.version}`);
    parts.up.href = `/workflows/${run.workflow}`;
    setState(parts.state, run.state, run.stopping ? "stopping" : "");
    keep(parts.counts, countsKey(run), () => counts(run));
    keep(parts.facts, [run.state, run.reason, run.round, run.parts_ended, Math.round(run.ran_s)], () => facts(run));
    const mine = mayChange({ user: run.owner });
    parts.cancel.hidden = ENDED.has(run.state) || Boolean(run.stopping) || !mine;
    parts.resume.hidden = !["FAILED", "CANCELLED"].includes(run.state) || Boolean(run.parent) || !mine;
  }

  async function load() {
    if (busy) return;
    busy = true;
    try {
      const first = run === null;
      run = await get(`/workflow-runs/${id}`);
      if (closed) return;
      draw();
      if (first) graph.show(await get(`/workflows/${run.workflow}/graph`, { version: run.version }));
      const told = await get(`/workflow-runs/${id}/letters`);
      if (closed) return;
      graph.colour(told.letters);
      if (first && query().get("stage")) graph.select(query().get("stage"), true);
      await Promise.all([loadStage(), loadStages()]);
    } catch (problem) {
      if (!run && !closed) outlet.replaceChildren(h("div", { class: "empty big" }, h("h1", null, problem.message), h("p", { class: "muted" }, problem.remedy), h("a", { href: "/workflows" }, "All workflows")));
    } finally {
      busy = false;
    }
  }

  for (const [button, what] of [[parts.cancel, "cancel"], [parts.resume, "resume"]]) {
    button.addEventListener("click", async () => {
      button.disabled = true;
      await attempt(() => post(`/workflow-runs/${id}/${what}`), what === "cancel" ? "Its tasks are being ended." : "It goes on from what failed.");
      button.disabled = false;
      load();
    });
  }
  load();
  const timer = setInterval(() => document.hidden || (run && ENDED.has(run.state)) || load(), LIVE_MS);
  const stop = onEvents((events) => events.some((event) => event.detail.run === id) && load());
  return {
    close() {
      closed = true;
      clearInterval(timer);
      stop();
      graph.close();
    },
  };
}
