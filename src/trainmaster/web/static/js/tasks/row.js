// One row of the table of tasks, patched in place.

import { h, keep, setAttribute, setText } from "../dom.js";
import { duration, short } from "../format.js";
import { spark } from "../spark.js";
import { ENDED, ON_NODES, setState, word } from "../states.js";
import { now } from "../time.js";
import { progressOf } from "./progress.js";

export const COLUMNS = [
  ["pick", ""],
  ["status", "State"],
  ["name", "Name"],
  ["user", "User"],
  ["priority", "Priority"],
  ["where", "Nodes"],
  ["progress", "Progress"],
  ["waited num", "Waited"],
  ["ran num", "Ran"],
];

export function makeRow(id) {
  const row = h("tr", { "data-id": id });
  const cells = {};
  for (const [names] of COLUMNS) {
    const name = names.split(" ")[0];
    cells[name] = row.appendChild(h("td", { class: names }));
  }
  cells.check = cells.pick.appendChild(h("input", { type: "checkbox", "aria-label": `Select ${id}`, tabindex: "-1" }));
  cells.state = cells.status.appendChild(h("span", { class: "state" }));
  cells.link = h("a", { href: `/tasks/${id}`, class: "cut" });
  cells.id = h("span", { class: "id muted" }, id);
  cells.name.append(cells.link, cells.id);
  return { row, cells };
}

function grow(cell, base, live) {
  setAttribute(cell, "data-since", live ? now() : null);
  setAttribute(cell, "data-base", live ? base : null);
  setText(cell, duration(base));
}

export function patchRow({ row, cells }, task, { selected, active, index }) {
  const changed = row.task !== task;
  setAttribute(row, "aria-rowindex", index + 2);
  setAttribute(row, "aria-selected", selected ? "true" : null);
  setAttribute(row, "data-active", active ? "" : null);
  if (cells.check.checked !== selected) cells.check.checked = selected;
  const progress = progressOf(task);
  keep(cells.progress, [progress?.epoch, progress?.quality, progress?.values], () =>
    progress
      ? [
          h("span", { class: "epoch", title: "epoch or step" }, progress.epoch),
          h("span", { class: "quality", title: progress.name }, progress.quality),
          progress.values.length > 1 && spark(progress.values, { high: progress.high, label: `${progress.name} over time` }),
        ]
      : []);
  if (!changed) return;
  row.task = task;
  const note = task.stopping ? "stopping" : task.attempt > 1 && !ENDED.has(task.state) ? `#${task.attempt}` : "";
  setState(cells.state, task.state, note);
  setAttribute(cells.status, "title", [task.attempt > 1 && `attempt ${task.attempt}`, task.reason].filter(Boolean).join(": ") || null);
  setText(cells.link, task.name);
  setAttribute(cells.name, "data-state", word(task.state)); // shown under the name where there is little room
  setText(cells.user, task.user);
  setText(cells.priority, task.urgency === "normal" ? short(task.priority) : `${task.urgency} ${short(task.priority)}`);
  setAttribute(cells.priority, "data-urgency", task.urgency);
  const workers = task.workers > 1 ? ` ×${task.workers}` : "";
  setText(cells.where, task.nodes.length ? `${task.nodes.slice(0, 2).join(", ")}${task.nodes.length > 2 ? ` +${task.nodes.length - 2}` : ""}${workers}` : "–");
  setAttribute(cells.where, "title", task.nodes.join(", ") || null);
  grow(cells.waited, task.waited_s, task.first_started_at === null && task.ended_at === null);
  grow(cells.ran, task.ran_s, ON_NODES.includes(task.state) && task.started_at !== null);
  if (!task.first_started_at) setText(cells.ran, "–");
}
