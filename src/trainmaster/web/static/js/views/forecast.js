// The forecast: how much work comes, how sure that is, and the nodes recommended against the nodes on.

import { get, put } from "../api.js";
import { h, keep, setText } from "../dom.js";
import { clock, count, duration, moment, percent, short } from "../format.js";
import { onEvents } from "../live.js";
import { Timeline } from "../parts/timeline.js";
import { may } from "../rights.js";
import { title } from "../router.js";
import { now } from "../time.js";
import { attempt } from "../toast.js";

const REFRESH_MS = 30_000;
const ROWS = 168;
const ABOUT = /^(cluster-sized|sizing-changed|node-)/;

const VOLUME = [
  { label: "submitted", colour: "ink" },
  { label: "forecast", colour: "accent" },
  { label: "as forecast then", colour: "waiting", dash: [4, 4] },
  { label: "upper bound", colour: "accent", faint: true },
  { label: "lower bound", colour: "accent", faint: true },
];
const NODES = [
  { label: "on", colour: "running", stepped: true },
  { label: "recommended", colour: "accent", stepped: true, dash: [6, 3] },
  { label: "planned", colour: "interrupted", stepped: true, dash: [2, 3] },
];

const column = (rows, name) => new Map(rows.filter((row) => row[name] !== null).map((row) => [row.time, row[name]]));

function facts(told) {
  const { outlook, knobs } = told;
  const { fit } = outlook;
  const coming = outlook.coming[0];
  const bounds = coming.upper === null ? "" : `, between ${short(coming.lower)} and ${short(coming.upper)}`;
  const rows = [
    ["This interval", `${count(Number(short(coming.tasks)), "task")} expected${bounds}; ends ${clock(outlook.next_at)}`],
    ["Reason", outlook.reason],
    ["One node completes", outlook.capacity === null ? "not measured yet: no task has ended" : `${short(outlook.capacity)} tasks in ${duration(told.interval_s)}`],
    ["Model", `${fit.model}: ${fit.why}`],
  ];
  if (fit.error !== null) {
    const floor = fit.floor === null ? "" : `; repeating the last value ${short(fit.floor)} %`;
    rows.push(["Its error", `${short(fit.error)} % of the volume, one interval ahead, over ${fit.rows} of them${floor}`]);
  }
  if (fit.covered !== null) rows.push(["Below the upper bound", `${percent(fit.covered)}, ${percent(told.level)} asked`]);
  rows.push(["Policy", `${knobs.policy}, ${knobs.min_nodes} to ${knobs.max_nodes ?? "all"} nodes, drains after ${count(knobs.hold, "decision")}`]);
  return h("dl", { class: "facts" }, rows.map(([name, text]) => [h("dt", null, name), h("dd", null, text)]));
}

export function openForecast(outlet) {
  title("Forecast");
  const state = h("span", { class: "chip" });
  const action = h("button", { type: "button", disabled: !may("operator"), title: may("operator") ? "" : "needs the role operator" });
  const notice = h("p", { class: "muted lead" });
  const headline = h("p", { class: "forecast-headline" });
  const volume = new Timeline("Tasks per interval", VOLUME, { band: ["upper bound", "lower bound"] });
  const nodes = new Timeline("Nodes", NODES, { height: 190 });
  const about = h("section", { class: "panel" }, h("header", null, h("h2", null, "Why")), h("div", { class: "body" }));
  const body = h("div", { class: "forecast", hidden: true }, headline, volume.element, nodes.element, about);
  outlet.append(h("div", { class: "view-head" }, h("h1", null, "Forecast"), state, h("span", { class: "grow" }), action), notice, body);
  let applied = false;
  let closed = false;

  function draw(told) {
    const { outlook, track } = told;
    applied = told.knobs.apply;
    setText(state, applied ? "applied" : "advice only");
    state.classList.toggle("on", applied);
    setText(action, applied ? "Only advise" : "Apply");
    setText(notice, told.why_not ? `${outlook ? "Trouble" : "No forecast yet"}: ${told.why_not}.` : "");
    notice.hidden = !told.why_not;
    body.hidden = !outlook;
    if (!outlook) return;
    const asleep = told.asleep ? `, ${told.asleep} asleep` : "";
    setText(headline, outlook.wanted === null ? `${told.on} nodes on${asleep}` : `${count(outlook.wanted, "node")} recommended, ${told.on} on${asleep}`);
    volume.show(
      [column(outlook.history, "tasks"), column(outlook.coming, "tasks"), column(outlook.history, "forecast"), column(outlook.coming, "upper"), column(outlook.coming, "lower")],
      `${duration(told.interval_s)} each; made ${moment(outlook.at, now())}`);
    const on = column(track, "on");
    const wanted = column(track, "wanted");
    if (outlook.wanted !== null) {
      // The running interval is drawn to its end: a step of one moment would not be seen.
      on.set(outlook.next_at, told.on);
      wanted.set(outlook.next_at, outlook.wanted);
    }
    nodes.show([on, wanted, column(outlook.coming, "nodes")], "recommended at the start of each interval, beside those on then");
    keep(about.lastElementChild, JSON.stringify([outlook.at, told.knobs]), () => facts(told));
  }

  async function load() {
    const told = await get("/forecast", { rows: ROWS }).catch((problem) => {
      if (body.hidden && !closed) setText(notice, problem.message);
      return null;
    });
    if (told && !closed) draw(told);
  }

  action.addEventListener("click", async () => {
    const apply = !applied;
    await attempt(() => put("/forecast", { apply }), apply ? "Nodes follow the recommendation." : "All nodes that sizing drained are awake.");
    load();
  });
  load();
  const timer = setInterval(() => document.hidden || load(), REFRESH_MS);
  const stop = onEvents((events) => events.some((event) => ABOUT.test(event.kind)) && load());
  return {
    close() {
      closed = true;
      clearInterval(timer);
      stop();
      volume.close();
      nodes.close();
    },
  };
}
