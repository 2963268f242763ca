// What if another profile had been in use? The history replayed, beside what happened.

import { get, post } from "../api.js";
import { h, setText } from "../dom.js";
import { count, duration, short } from "../format.js";
import { may } from "../rights.js";
import { query, setQuery, title } from "../router.js";

const PATIENCE_MS = 150_000;
const SHOWN = 20;
const SPANS = [["3600", "hour"], ["86400", "day"], ["604800", "week"], ["2592000", "30 days"]];

const LINES = [
  ["Profile", (column) => column.profile],
  ["Nodes", (column) => column.nodes],
  ["Tasks ended", (column) => `${column.ended} of ${column.ended + column.unended}`],
  ["Wait, mean", (column) => duration(column.wait_s.mean)],
  ["Wait, 99 of 100 below", (column) => duration(column.wait_s.p99)],
  ["To the end, mean", (column) => duration(column.jct_s.mean)],
  ["To the end, 99 of 100 below", (column) => duration(column.jct_s.p99)],
  ["All done after", (column) => duration(column.makespan_s)],
  ["Worker-hours", (column) => short(column.worker_hours)],
  ["Hours of nodes with work", (column) => short(column.busy_node_hours)],
  ["Restarts", (column) => column.restarts],
  ["Resizes", (column) => column.resizes],
];

function table(caption, first, columns, rows) {
  return h("div", { class: "tab-scroll", tabindex: "0" }, h("table", { class: "table" },
    h("caption", { class: "sr" }, caption),
    h("thead", null, h("tr", null, h("th", { scope: "col" }, first), columns.map((name) => h("th", { class: "num", scope: "col" }, name)))),
    h("tbody", null, rows.map(([name, cells]) => h("tr", null, h("th", { scope: "row" }, name), cells.map((text) => h("td", { class: "num" }, text)))))));
}

function shown(told) {
  const names = told.columns.map((column) => column.name);
  const left = Object.entries(told.left_out).map(([why, number]) => `${number} ${why}`).join(", ");
  return [
    h("section", { class: "panel" },
      h("header", null, h("h2", null, count(told.tasks, "task")), left && h("span", { class: "muted" }, `left out: ${left}`)),
      table("The three ways", "", names, LINES.map(([label, tell]) => [label, told.columns.map(tell)]))),
    h("section", { class: "panel" },
      h("header", null, h("h2", null, "Tasks that differ most"), h("span", { class: "muted" }, "from submission to the end")),
      table("Tasks", "Task", names, told.rows.slice(0, SHOWN).map((row) =>
        [h("a", { href: `/tasks/${row.task}` }, `${row.name} (${row.user})`), row.jct_s.map(duration)]))),
  ];
}

export function openWhatIf(outlet) {
  title("What if");
  const asked = query();
  const profile = h("select", { name: "profile" });
  const last = h("select", { name: "last" }, SPANS.map(([seconds, label]) => h("option", { value: seconds }, `the last ${label}`)));
  const nodes = h("input", { name: "nodes", type: "number", min: "1", max: "10000", placeholder: "as many as now", value: asked.get("nodes") ?? "" });
  // Disabled until there is a profile to choose.
  const button = h("button", { type: "submit", disabled: true, title: may("submitter") ? "" : "needs the role submitter" }, "Replay");
  const notice = h("p", { class: "muted lead", role: "status" });
  const body = h("div", { class: "whatif" });
  const form = h("form", { class: "whatif-form", onsubmit: (event) => { event.preventDefault(); replay(); } },
    h("label", null, "Profile", profile), h("label", null, "History", last), h("label", null, "Nodes", nodes), button);
  outlet.append(
    h("div", { class: "view-head" }, h("h1", null, "What if")),
    h("p", { class: "muted lead" }, "The history is replayed through the very scheduler, in a simulation: under the profile in use, which shows how well the replay tells what happened, and under the one to try."),
    form, notice, body);
  last.value = SPANS.some(([seconds]) => seconds === asked.get("last")) ? asked.get("last") : "604800";
  const leaving = new AbortController();

  async function replay() {
    setQuery({ profile: profile.value, last: last.value, nodes: nodes.value });
    button.disabled = true;
    setText(notice, "Replaying …");
    notice.classList.remove("notice");
    body.replaceChildren();
    try {
      const wanted = { profile: profile.value, last_s: Number(last.value), nodes: nodes.value ? Number(nodes.value) : null };
      const told = await post("/whatif", wanted, { signal: leaving.signal, patienceMs: PATIENCE_MS });
      setText(notice, "");
      body.replaceChildren(...shown(told));
    } catch (problem) {
      if (problem.name === "AbortError") return;
      setText(notice, [problem.message, problem.remedy].filter(Boolean).join(" – "));
      notice.classList.add("notice");
    }
    button.disabled = false;
  }

  get("/profiles").then((profiles) => {
    profile.replaceChildren(...profiles.map(({ name }) => h("option", { value: name }, name)));
    const wanted = asked.get("profile");
    if (profiles.some(({ name }) => name === wanted)) profile.value = wanted;
    button.disabled = !may("submitter");
  }, (problem) => setText(notice, problem.message));
  return { close: () => leaving.abort() };
}
