// One look: is the cluster busy, is anything wrong, what waits and why.

import { get } from "../api.js";
import { h, keep } from "../dom.js";
import { count, cores, duration } from "../format.js";
import { onEvents } from "../live.js";
import { eventSignal, happened, subject, why } from "../parts/events.js";
import { linked } from "../parts/ids.js";
import { occupancy, occupancyKey } from "../parts/occupancy.js";
import { onPulse } from "../pulse.js";
import { title } from "../router.js";
import { ON_NODES, signal, WAITING } from "../states.js";
import { when } from "../time.js";

const QUEUES = [
  ["highest", "Highest", "waiting"],
  ["interrupted", "Interrupted", "interrupted"],
  ["urgent", "Urgent", "waiting"],
  ["normal", "Normal", "waiting"],
];
const RECENT = 10;
const SHOWN = 8; // of what waits

function panel(heading, aside, body, properties = {}) {
  return h("section", { class: "panel", ...properties }, h("header", null, h("h2", null, heading), aside), body);
}

export function openOverview(outlet) {
  title("");
  const parts = {};
  for (const name of ["headline", "counts", "nodes", "queue", "waiting", "failures", "recent"]) {
    parts[name] = h("div", { class: name === "headline" ? "" : "body" });
  }
  const nodesAside = h("span", { class: "muted" });
  const waitingAside = h("span", { class: "muted" });
  outlet.append(
    h("h1", { class: "sr" }, "Overview"),
    h("div", { class: "overview" },
      parts.headline,
      h("div", { class: "column" },
        panel("Nodes", nodesAside, parts.nodes, { id: "o-nodes" }),
        panel("Waiting, and why", waitingAside, parts.waiting, { id: "o-waiting" }),
        panel("Failures by cause", null, parts.failures, { id: "o-failures" })),
      h("div", { class: "column" },
        panel("Queue by class", null, parts.queue, { id: "o-queue" }),
        panel("Recent events", null, parts.recent, { id: "o-recent" })),
    ),
  );

  const names = new Map();
  let events = [];
  let running = new Map();
  let overview = null;

  async function learnNames() {
    const page = await get("/tasks", { limit: 100 });
    for (const task of page.tasks) names.set(task.id, task.name);
  }

  async function learnRunning() {
    const page = await get("/tasks", { state: ON_NODES, limit: 300 });
    running = new Map(page.tasks.map((task) => [task.id, task]));
    for (const task of page.tasks) names.set(task.id, task.name);
  }

  function drawEvents() {
    const shown = events.slice(-RECENT).reverse();
    keep(parts.recent, [shown.map((event) => event.seq), shown.map((event) => names.get(event.task))], () =>
      shown.length
        ? h("ol", { class: "feed" }, shown.map((event) =>
            h("li", null, eventSignal(event.kind), h("span", { class: "what cut" }, subject(event, names), " ", happened(event.kind)), when(event.time),
              h("span", { class: "why muted cut", title: event.reason }, linked(why(event), names)))))
        : h("p", { class: "muted" }, "Nothing has happened yet."));
  }

  function draw() {
    drawHeadline(parts.headline, overview);
    drawNodes(parts.nodes, nodesAside, overview.nodes, running);
    drawQueue(parts.queue, overview.queue);
    drawWaiting(parts.waiting, waitingAside, overview);
    drawFailures(parts.failures, overview.failures);
    drawEvents();
  }

  const stops = [
    onPulse(async (told) => {
      overview = told;
      draw();
      try {
        await learnRunning();
      } catch {
        return; // the live mark tells
      }
      if (outlet.isConnected) drawNodes(parts.nodes, nodesAside, overview.nodes, running);
    }),
    onEvents(async (fresh) => {
      events = events.concat(fresh).slice(-200);
      if (fresh.some((event) => event.task && !names.has(event.task))) await learnNames().catch(() => {});
      drawEvents();
    }),
  ];
  get("/events", { limit: 100 })
    .then(async (page) => {
      const seen = new Set(events.map((event) => event.seq));
      events = page.events.filter((event) => !seen.has(event.seq)).concat(events);
      await learnNames();
      drawEvents();
    })
    .catch(() => {});
  return { close: () => stops.forEach((stop) => stop()) };
}

function drawHeadline(box, overview) {
  const counts = overview.counts;
  const sum = (states) => states.reduce((total, state) => total + (counts[state] ?? 0), 0);
  const running = sum(ON_NODES);
  const waiting = sum(WAITING);
  const up = overview.nodes.filter((node) => node.state === "UP" || node.state === "DRAINING");
  const odd = overview.nodes.length - up.length;
  const capacity = up.reduce((total, node) => total + node.cpus, 0);
  const used = up.reduce((total, node) => total + node.cpus_used, 0);
  const wrong = overview.trouble ? "The database is in trouble" : odd ? `${count(odd, "node")} ${odd === 1 ? "does" : "do"} not answer` : "";
  const aspect = overview.trouble ? "stop" : odd ? "caution" : running ? "clear" : "idle";
  const share = capacity ? used / capacity : 0;
  const load = !up.length ? "No node has joined" : !running ? "Idle" : share > 0.95 ? "Fully busy" : share > 0.5 ? "Busy" : "Lightly loaded";
  keep(box, [aspect, load, wrong, running, waiting, used, capacity, counts, overview.profile, Math.floor(overview.up_s / 60)], () => [
    h("div", { class: "headline", "data-aspect": aspect },
      h("span", { class: "aspect", "aria-hidden": "true" }, h("i"), h("i"), h("i")),
      h("div", null,
        h("p", { class: "big" }, wrong || `${load}. ${running ? `${count(running, "task")} running` : "Nothing is running"}, ${waiting ? `${waiting.toLocaleString("en")} waiting` : "nothing waits"}.`),
        h("p", { class: "muted" }, `${Number(used.toFixed(2))} of ${cores(capacity)} given away on ${count(up.length, "node")} · profile `,
          h("a", { href: "/policies" }, overview.profile), ` · up ${duration(overview.up_s)}`)),
      h("dl", { class: "tally" }, ["SUCCEEDED", "FAILED", "CANCELLED"].map((state) =>
        h("div", null, h("dt", null, signal(state), state.charAt(0) + state.slice(1).toLowerCase()),
          h("dd", null, h("a", { href: `/tasks?state=${state}` }, (counts[state] ?? 0).toLocaleString("en"))))))),
  ]);
}

function drawNodes(box, aside, nodes, tasks) {
  aside.replaceChildren(h("a", { href: "/nodes" }, "all nodes"));
  const shape = nodes.map((node) => [node.id, occupancyKey(node, tasks)]);
  keep(box, shape, () =>
    nodes.length
      ? h("ul", { class: "node-bars" }, nodes.map((node) =>
          h("li", null,
            h("a", { class: "name cut", href: `/nodes#${node.id}`, title: node.state }, signal(node.state), node.id),
            occupancy(node, tasks),
            h("span", { class: "amount muted" }, node.gpus ? `${node.gpus_used}/${node.gpus} GPU` : `${Number(node.cpus_used.toFixed(2))}/${Number(node.cpus.toFixed(2))}`))))
      : h("p", { class: "muted" }, "No node has joined yet. An agent joins by itself when the service starts."));
}

function drawQueue(box, queue) {
  const most = Math.max(...QUEUES.map(([key]) => queue[key] ?? 0), 1);
  keep(box, queue, () =>
    h("dl", { class: "bars" }, QUEUES.map(([key, label, tone]) => {
      const bar = h("span", { class: "fill", "data-tone": tone });
      bar.style.width = `${((queue[key] ?? 0) / most) * 100}%`;
      return h("div", null, h("dt", null, label), h("dd", null, h("span", { class: "track" }, bar), h("b", null, (queue[key] ?? 0).toLocaleString("en"))));
    })));
}

/** The place in the queue is part of the sentence; who has none comes last. */
const position = (one) => Number(/\(position (\d+)\)/.exec(one.why)?.[1] ?? Infinity);

function drawWaiting(box, aside, overview) {
  const counts = overview.counts;
  const all = WAITING.reduce((total, state) => total + (counts[state] ?? 0), 0);
  aside.replaceChildren(...(all > SHOWN ? [h("a", { href: `/tasks?${WAITING.map((state) => `state=${state}`).join("&")}` }, `all ${all.toLocaleString("en")}`)] : []));
  const ever = Object.values(counts).some(Boolean);
  keep(box, [overview.waiting, ever], () => {
    if (overview.waiting.length) {
      const line = [...overview.waiting].sort((a, b) => position(a) - position(b));
      return h("ol", { class: "waiting" }, line.slice(0, SHOWN).map((one) =>
        h("li", null, h("a", { href: `/tasks/${one.task}/why`, class: "cut" }, one.name), h("span", { class: "muted" }, one.why))));
    }
    if (ever) return h("p", { class: "muted" }, "Nothing waits: every task that could start has started.");
    return h("div", { class: "teach" }, h("p", null, "No task was ever submitted. This makes one:"),
      h("pre", { class: "code" }, "trainmaster submit --name hello -- echo 'hello, world'"),
      h("p", { class: "muted" }, "or ", h("a", { href: "/tasks?new=1" }, "submit one here"), "."));
  });
}

function drawFailures(box, failures) {
  const rows = Object.entries(failures).sort((a, b) => b[1] - a[1]);
  keep(box, rows, () =>
    rows.length
      ? h("ul", { class: "failures" }, rows.map(([cause, times]) => h("li", null, signal("FAILED"), h("span", null, cause || "no reason given"), h("b", null, `×${times}`))))
      : h("p", { class: "muted" }, "None lately."));
}

