// One workflow: its runs against its stages, its graph, and how to run it.

import { get, post } from "../api.js";
import { h, keep, setText } from "../dom.js";
import { dialog } from "../keys.js";
import { onEvents } from "../live.js";
import { may } from "../rights.js";
import { go, title } from "../router.js";
import { attempt } from "../toast.js";
import { askForTrigger } from "../triggers/form.js";
import { Graph } from "../workflows/graph.js";
import { Grid } from "../workflows/grid.js";
import { runTable, runsKey } from "./workflows.js";

const RUNS = 40;

function value(parameter, text) {
  if (parameter.type === "string") return text;
  try {
    return JSON.parse(text);
  } catch {
    return text; // the service says what is wrong with it
  }
}

function askToRun(workflow) {
  const inputs = workflow.parameters.map((parameter) => [parameter, h("input", {
    name: parameter.name, required: parameter.required, autocomplete: "off", spellcheck: "false",
    value: parameter.required ? "" : parameter.type === "string" ? parameter.default : JSON.stringify(parameter.default),
  })]);
  const form = h("form", { class: "flow-form" },
    inputs.map(([parameter, input]) => h("label", null, h("span", null, parameter.name, h("small", { class: "muted" }, ` ${parameter.type}`)), input)),
    h("button", { type: "submit", class: "primary" }, "Run"));
  const box = dialog(`Run ${workflow.name}`, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const parameters = Object.fromEntries(inputs.map(([parameter, input]) => [parameter.name, value(parameter, input.value)]));
    await attempt(async () => {
      const run = await post("/workflow-runs", { workflow: workflow.name, parameters });
      box.close();
      go(`/workflows/${workflow.name}/${run.id}`);
    });
  });
}

function describe(stage) {
  const parts = [["each", stage.each], ["shards", stage.shards], ["at once", stage.at_once]].filter(([, value]) => value !== null).map(([name, value]) => `${name} ${JSON.stringify(value).slice(0, 60)}`);
  if (stage.broadcast) parts.push("on every node");
  if (stage.emits) parts.push("its tasks emit tasks");
  const after = stage.after.length ? [`after ${stage.after.slice(0, 6).join(", ")}${stage.after.length > 6 ? " …" : ""} (${stage.when})`] : [];
  return [h("b", null, stage.name), ` ${stage.kind} `, h("code", null, stage.what.slice(0, 120)), ` ${[...after, ...parts].join("; ")}`];
}

export function openWorkflow(outlet, { workflow: name }) {
  title(name);
  const facts = h("span", { class: "muted" });
  const run = h("button", { type: "button", class: "primary", disabled: true }, "Run");
  const schedule = h("button", { type: "button", disabled: !may("submitter"), title: "Run it by the clock", onclick: () => attempt(() => askForTrigger((made) => go(`/triggers/${made.id}`), name)) }, "Schedule");
  const about = h("p", { class: "muted lead" });
  const chosen = h("p", { class: "muted flow-note" });
  const graph = new Graph((stage) => {
    const found = definition?.stages.find((one) => one.name === stage);
    if (found) keep(chosen, stage, () => describe(found));
  });
  const grid = new Grid((of, stage) => go(`/workflows/${name}/${of.id}${stage ? `?stage=${encodeURIComponent(stage)}` : ""}`));
  const gridPanel = h("section", { class: "panel" }, h("header", null, h("h2", null, "Runs and stages")), h("div", { class: "body" }, grid.element, grid.tip));
  const list = h("section", { class: "panel" });
  outlet.append(
    h("div", { class: "view-head" }, h("a", { href: "/workflows", class: "muted" }, "Workflows"), h("h1", { class: "cut" }, name), facts, h("span", { class: "grow" }), schedule, run),
    about, h("div", { class: "flows" }, gridPanel, h("section", { class: "panel" }, h("header", null, h("h2", null, "Graph")), h("div", { class: "body" }, graph.element, chosen)), list));
  let closed = false;
  let version = 0;
  let definition = null;

  async function load() {
    const [told, page] = await Promise.all([get(`/workflows/${name}/grid`, { runs: RUNS }), get("/workflow-runs", { workflow: name, limit: 15 })]).catch((problem) => {
      if (!version && !closed) outlet.replaceChildren(h("div", { class: "empty big" }, h("h1", null, problem.message), h("a", { href: "/workflows" }, "All workflows")));
      return [null, null];
    });
    if (!told || closed) return;
    gridPanel.hidden = !told.runs.length;
    grid.show(told);
    keep(list, runsKey(page.runs), () => page.runs.length ? [h("header", null, h("h2", null, "Latest runs")), runTable(page.runs)] : h("div", { class: "empty" }, "It has not run yet."));
    if (told.version === version) return;
    version = told.version;
    const [written, drawn] = await Promise.all([get(`/workflows/${name}`), get(`/workflows/${name}/graph`, { version })]);
    if (closed) return;
    definition = written;
    setText(facts, `version ${definition.version} · ${definition.stage_count} stages`);
    setText(about, definition.description);
    about.hidden = !definition.description;
    graph.show(drawn);
    run.disabled = !may("submitter");
    run.onclick = () => askToRun(definition);
  }

  load();
  const timer = setInterval(() => document.hidden || load(), 5000);
  const stop = onEvents((events) => events.some((event) => event.kind.startsWith("workflow-") && event.detail.workflow === name) && load());
  return {
    close() {
      closed = true;
      clearInterval(timer);
      stop();
      graph.close();
      grid.close();
    },
  };
}
