// Nodes: how they are, what they do, what runs there.

import { get, post } from "../api.js";
import { h, keep, setText } from "../dom.js";
import { ago, bytes, cores, percent, short } from "../format.js";
import { onEvents } from "../live.js";
import { occupancy, occupancyKey } from "../parts/occupancy.js";
import { replicas } from "../parts/replicas.js";
import { hasten, onPulse } from "../pulse.js";
import { may } from "../rights.js";
import { title } from "../router.js";
import { spark, thin } from "../spark.js";
import { ON_NODES, setState } from "../states.js";
import { now } from "../time.js";
import { attempt } from "../toast.js";

const HISTORY_MS = 5000;
const GAUGES = [
  ["cpu", "CPU", (g) => g.cpu, percent, true],
  ["gpu", "GPU", (g) => (g.gpu.length ? g.gpu.reduce((a, b) => a + b, 0) / g.gpu.length : NaN), percent, true],
  ["memory", "Memory", (g) => g.memory, percent, true],
  ["disk", "Disk", (g) => g.disk_read + g.disk_write, (v) => `${bytes(v)}/s`, false],
  ["net", "Net", (g) => g.net_received + g.net_sent, (v) => `${bytes(v)}/s`, false],
];

function card(node) {
  const parts = {
    state: h("span", { class: "state" }),
    action: h("button", { type: "button", disabled: !may("operator") }),
    bar: h("div"),
    facts: h("p", { class: "muted" }),
    beat: h("span", { class: "beat muted" }),
    runs: h("p", { class: "runs" }),
    gauges: h("div", { class: "gauges" }),
  };
  const article = h("article", { class: "panel node", id: node.id },
    h("header", null, h("h2", null, node.id), parts.state, parts.beat, parts.action),
    h("div", { class: "body" }, parts.bar, parts.facts, parts.gauges, parts.runs));
  parts.action.addEventListener("click", async () => {
    const drain = parts.action.dataset.drain === "true";
    await attempt(() => post(`/nodes/${node.id}/drain`, { drain }), drain ? `${node.id} gets nothing new.` : `${node.id} takes work again.`);
    hasten();
  });
  return { article, parts };
}

function drawNode({ parts }, node, tasks) {
  setState(parts.state, node.state);
  const up = node.state === "UP";
  parts.action.dataset.drain = String(up);
  setText(parts.action, up ? "Drain" : "Wake");
  parts.action.hidden = node.state !== "UP" && node.state !== "DRAINING";
  parts.action.title = up ? "Finish what runs, take nothing new" : "Take work again";
  keep(parts.bar, occupancyKey(node, tasks), () => occupancy(node, tasks));
  const offered = [`${Number(node.cpus_used.toFixed(2))} of ${cores(node.cpus)}`, `${bytes(node.memory_used)} of ${bytes(node.memory)}`];
  if (node.gpus) offered.push(`${node.gpus_used} of ${node.gpus} GPUs`);
  offered.push(node.index ? `performance index ${short(node.index)}` : "performance index not measured yet");
  if (node.containers) offered.push("containers");
  for (const [name, value] of Object.entries(node.labels)) offered.push(`${name}=${value}`);
  setText(parts.facts, offered.join(" · "));
  const beat = Math.max(node.seen_at, node.gauges.time);
  setText(parts.beat, `heartbeat ${ago(beat, now())}`);
  keep(parts.runs, node.runs.map((run) => [run, tasks.get(run.split(".")[0])?.name]), () =>
    node.runs.length
      ? [h("span", { class: "muted" }, "Runs "), node.runs.slice(0, 40).map((run) => h("a", { class: "chip", href: `/tasks/${run.split(".")[0]}`, title: run }, tasks.get(run.split(".")[0])?.name ?? run, h("small", null, `rank ${run.split(".")[2]}`)))]
      : h("span", { class: "muted" }, "Nothing runs here."));
}

function drawGauges({ parts }, samples) {
  const measured = samples.filter((sample) => sample.time);
  const last = measured.at(-1);
  keep(parts.gauges, last?.time ?? 0, () => {
    if (!last) return h("div", { class: "muted none" }, "No measurement yet: the first comes within a few seconds.");
    return GAUGES.filter(([, , value]) => Number.isFinite(value(last))).map(([key, label, value, text, share]) => {
      const values = thin(measured.map(value), 120);
      return h("div", { "data-gauge": key }, h("span", null, label), h("b", null, text(value(last))),
        spark(values, { width: 150, height: 30, low: 0, high: share ? 1 : undefined, area: true, label: `${label}, the last half hour` }));
    });
  });
}

export function openNodes(outlet) {
  title("Nodes");
  const summary = h("span", { class: "muted" });
  const list = h("div", { class: "nodes" });
  outlet.append(h("div", { class: "view-head" }, h("h1", null, "Nodes"), summary), list);
  const service = replicas();
  outlet.append(service.element);
  const cards = new Map();
  let tasks = new Map();
  let nodes = [];
  let closed = false;

  function draw() {
    setText(summary, nodes.length ? `${nodes.length} in all, ${nodes.filter((node) => node.state === "UP").length} take work` : "");
    const known = new Set(nodes.map((node) => node.id));
    for (const [id, { article }] of cards) if (!known.has(id)) (article.remove(), cards.delete(id));
    for (const node of nodes) {
      if (!cards.has(node.id)) {
        cards.set(node.id, card(node));
        list.append(cards.get(node.id).article);
        if (location.hash === `#${node.id}`) cards.get(node.id).article.scrollIntoView();
      }
      drawNode(cards.get(node.id), node, tasks);
    }
    if (!nodes.length && !list.childElementCount) list.append(h("div", { class: "empty" }, h("p", null, "No node has joined. On one machine the service brings its own:"), h("pre", { class: "code" }, "trainmaster up --nodes 4")));
  }

  /** Only the cards in sight ask for their history: a thousand nodes must not. */
  async function measure() {
    if (document.hidden) return;
    for (const node of nodes) {
      const box = cards.get(node.id)?.article.getBoundingClientRect();
      if (closed || !box || box.bottom < 0 || box.top > innerHeight) continue;
      const samples = await get(`/nodes/${node.id}/gauges`).catch(() => null);
      if (samples && !closed) drawGauges(cards.get(node.id), samples);
    }
  }

  const stops = [
    onPulse(async (overview) => {
      const first = !nodes.length;
      nodes = overview.nodes;
      draw();
      const page = await get("/tasks", { state: ON_NODES, limit: 500 }).catch(() => null);
      if (!page || closed) return;
      tasks = new Map(page.tasks.map((task) => [task.id, task]));
      draw();
      if (first) measure();
    }),
    onEvents((events) => events.some((event) => event.kind.startsWith("node-")) && hasten()),
  ];
  const timer = setInterval(measure, HISTORY_MS);
  return {
    close() {
      closed = true;
      clearInterval(timer);
      service.close();
      stops.forEach((stop) => stop());
    },
  };
}
