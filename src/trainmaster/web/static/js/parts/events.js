// Lines of history, for the overview and for one task.

import { h } from "../dom.js";
import { signal } from "../states.js";

const SHAPES = {
  "task-submitted": "SUBMITTED",
  "task-blocked": "BLOCKED",
  "task-released": "QUEUED",
  "task-accepted": "ACCEPTED",
  "task-preparing": "PREPARING",
  "task-started": "RUNNING",
  "task-resizing": "RESIZING",
  "task-regrouped": "RESIZING",
  "task-resized": "RUNNING",
  "worker-lost": "LOST",
  "task-stopping": "RESIZING",
  "task-interrupted": "INTERRUPTED",
  "task-retried": "QUEUED",
  "task-lost": "LOST",
  "task-succeeded": "SUCCEEDED",
  "task-failed": "FAILED",
  "task-cancelled": "CANCELLED",
  "workflow-started": "RUNNING",
  "workflow-resumed": "RUNNING",
  "workflow-stopping": "RESIZING",
  "workflow-succeeded": "SUCCEEDED",
  "workflow-failed": "FAILED",
  "workflow-cancelled": "CANCELLED",
  "node-joined": "UP",
  "node-returned": "UP",
  "node-woken": "UP",
  "node-suspect": "SUSPECT",
  "node-gone": "GONE",
  "node-draining": "DRAINING",
  "trigger-created": "SUBMITTED",
  "trigger-paused": "INTERRUPTED",
  "trigger-resumed": "RUNNING",
  "trigger-deleted": "CANCELLED",
  "firing-skipped": "CANCELLED",
  "firing-missed": "FAILED",
};

/** "task-stopping" → "stopping" */
export const happened = (kind) => kind.replace(/^(task|node|workflow)-/, "").replaceAll("-", " ");

export const eventSignal = (kind) => signal(SHAPES[kind] ?? "SUBMITTED");

/** Who or what it is about. */
export function subject(event, names = new Map()) {
  if (event.task) return h("a", { href: `/tasks/${event.task}` }, names.get(event.task) ?? event.task);
  if (event.detail.workflow) return h("a", { href: `/workflows/${event.detail.workflow}/${event.detail.run}` }, event.detail.workflow);
  if (event.detail.trigger) return h("a", { href: `/triggers/${event.detail.trigger}` }, event.detail.name);
  return event.node ?? "service";
}

export function why(event) {
  const reason = event.reason || (event.detail.workers ? `${event.detail.workers} worker${event.detail.workers === 1 ? "" : "s"}` : "");
  return event.task && event.node && !reason.includes(event.node) ? `${reason}${reason ? " " : ""}on ${event.node}` : reason;
}
