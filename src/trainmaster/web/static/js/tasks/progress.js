// What a row shows of training: epoch, quality and its curve.
//
// The curve's past is asked for once per row in sight; what follows comes with the row itself.

import { get } from "../api.js";
import { metric, short } from "../format.js";
import { thin } from "../spark.js";
import { ENDED } from "../states.js";

const QUALITY = ["accuracy", "val_accuracy", "acc", "val_acc", "reward", "score", "loss", "val_loss"];
const AT_ONCE = 2;
const POINTS = 1000;

const known = new Map();
let queue = [];
let active = 0;

export function qualityOf(values) {
  const name = QUALITY.find((candidate) => Number.isFinite(values?.[candidate]));
  return name ? { name, value: values[name] } : null;
}

/** {epoch, quality, values, low, high} of a task, as far as it is known. */
export function progressOf(task) {
  const past = known.get(task.id);
  const latest = task.progress ?? past?.last ?? null;
  if (!latest) return null;
  const metrics = latest.metrics ?? {};
  const epoch = metrics.epoch ?? latest.step;
  const total = metrics.epochs;
  const quality = qualityOf(metrics);
  if (past && task.progress && task.progress.time > past.time && quality?.name === past.name) {
    past.time = task.progress.time;
    past.values.push(quality.value);
  }
  const bounded = quality && /acc/.test(quality.name) && quality.value <= 1;
  return {
    epoch: total ? `${short(epoch)}/${short(total)}` : short(epoch),
    quality: quality ? `${metric(quality.value)}` : "",
    name: quality?.name ?? "",
    values: thin(past?.values ?? []),
    high: bounded ? 1 : undefined,
  };
}

/** Learn the past of these tasks, those asked for last first. `done()` after each. */
export function wantProgress(tasks, done) {
  queue = tasks.filter((task) => {
    if (!task.first_started_at || task.kind === "function") return false;
    const past = known.get(task.id);
    return !past || (ENDED.has(task.state) && !past.whole);
  });
  while (active < AT_ONCE && queue.length) next(done);
}

async function next(done) {
  const task = queue.shift();
  if (!task) return;
  active += 1;
  try {
    const reports = (await get(`/tasks/${task.id}/metrics`, { limit: POINTS })).filter((report) => report.rank === 0);
    const last = reports.at(-1);
    const name = qualityOf(last?.values)?.name;
    known.set(task.id, {
      whole: ENDED.has(task.state),
      name,
      time: last?.time ?? 0,
      last: last ? { step: last.step, metrics: last.values } : null,
      values: reports.map((report) => report.values[name]).filter(Number.isFinite),
    });
    if (last) done();
  } catch {
    // The row stays without its curve; it is asked for again when it is next in sight.
  } finally {
    active -= 1;
    next(done);
  }
}
