// What a node's slots are taken by: a cell per GPU where there are GPUs, else per worker's share of the cores.

import { h } from "../dom.js";
import { tone } from "../states.js";

const MOST_CELLS = 64;

// Shares that add up to less than one would leave a part of the bar empty.
const grow = (size) => Math.max(size, 0.05) * 100;

/** `tasks` maps ids to tasks where known. */
function segments(node, tasks) {
  const runs = node.runs.map((run) => ({ run, id: run.split(".")[0] })).map((one) => ({ ...one, task: tasks.get(one.id) }));
  if (node.gpus) {
    const taken = runs.flatMap((one) => Array(one.task?.gpus ?? 1).fill({ ...one, size: 1 }));
    return { used: taken.slice(0, node.gpus), free: Array(Math.max(node.gpus - taken.length, 0)).fill(1) };
  }
  const average = runs.length ? node.cpus_used / runs.length : 0;
  const used = runs.map((one) => ({ ...one, size: one.task?.cpus ?? average }));
  const unit = Math.min(node.cpus, used.length ? Math.max(average, 0.01) : 1) || 1;
  let left = Math.max(node.cpus - node.cpus_used, 0);
  const free = [];
  while (left > unit * 0.05 && free.length < MOST_CELLS) {
    free.push(Math.min(unit, left));
    left -= unit;
  }
  return { used, free };
}

/** The part of its epochs a task has behind it, where it reports them. */
function trained(task) {
  const { epoch, epochs } = task?.progress?.metrics ?? {};
  if (!(epoch >= 0 && epochs > 0)) return null;
  const done = h("i", { "aria-hidden": "true" });
  done.style.width = `calc(${Math.min(epoch / epochs, 1) * 100}% - 3px)`;
  return done;
}

/** What decides how the bar looks; drawn anew only if it differs. */
export const occupancyKey = (node, tasks) => [
  node.state, node.runs, node.cpus_used, node.gpus_used,
  node.runs.map((run) => tasks.get(run.split(".")[0])).map((task) => task && [task.state, task.progress?.step]),
];

export function occupancy(node, tasks) {
  const { used, free } = segments(node, tasks);
  const cells = used.slice(0, MOST_CELLS).map(({ run, id, task, size }) => {
    const name = task?.name ?? id;
    const cell = h("a", { class: "cell taken", href: `/tasks/${id}`, title: `${name} · ${run}`, "data-tone": tone(task?.state ?? "RUNNING") }, trained(task), h("span", null, name));
    cell.style.flexGrow = grow(size);
    return cell;
  });
  for (const size of free) {
    const cell = h("span", { class: "cell" });
    cell.style.flexGrow = grow(size);
    cells.push(cell);
  }
  const what = node.gpus ? `${node.gpus_used} of ${node.gpus} GPUs` : `${node.cpus_used} of ${node.cpus} cores`;
  return h("div", { class: "occupancy", role: "group", "aria-label": `${node.id}: ${what} taken`, "data-state": node.state }, cells);
}
