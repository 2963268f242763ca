// Task and node states: a shape, a tone and a word each.

import { h, icon, keep } from "./dom.js";

const TONES = {
  SUBMITTED: "waiting",
  BLOCKED: "blocked",
  QUEUED: "waiting",
  ACCEPTED: "waiting",
  PREPARING: "waiting",
  RUNNING: "running",
  RESIZING: "running",
  INTERRUPTED: "interrupted",
  LOST: "lost",
  SUCCEEDED: "succeeded",
  FAILED: "failed",
  CANCELLED: "cancelled",
  LAUNCHING: "waiting",
  EXITED: "cancelled",
  UP: "running",
  DRAINING: "waiting",
  SUSPECT: "waiting",
  GONE: "failed",
  WAITING: "blocked",
  READY: "waiting",
  SKIPPED: "cancelled",
};
const NODE_STATES = new Set(["UP", "DRAINING", "SUSPECT", "GONE"]);
const SHAPES = { LAUNCHING: "s-accepted", EXITED: "s-submitted", WAITING: "s-blocked", READY: "s-queued", SKIPPED: "s-submitted" };

export const STATES = [
  "RUNNING", "QUEUED", "BLOCKED", "SUBMITTED", "ACCEPTED", "PREPARING", "RESIZING", "INTERRUPTED", "LOST",
  "SUCCEEDED", "FAILED", "CANCELLED",
];
export const ENDED = new Set(["SUCCEEDED", "FAILED", "CANCELLED"]);
export const ON_NODES = ["ACCEPTED", "PREPARING", "RUNNING", "RESIZING"];
export const WAITING = ["SUBMITTED", "BLOCKED", "QUEUED", "INTERRUPTED", "LOST"];

/** Groups for the filter: what people look for. */
export const GROUPS = [
  { name: "Running", states: ON_NODES },
  { name: "Waiting", states: WAITING },
  { name: "Succeeded", states: ["SUCCEEDED"] },
  { name: "Failed", states: ["FAILED"] },
  { name: "Cancelled", states: ["CANCELLED"] },
];

export const tone = (state) => TONES[state] ?? "blocked";
export const word = (state) => state.charAt(0) + state.slice(1).toLowerCase();

export function signal(state, properties = {}) {
  const shape = SHAPES[state] ?? (NODE_STATES.has(state) ? `n-${state.toLowerCase()}` : `s-${state.toLowerCase()}`);
  return icon(shape, { class: "signal", "data-tone": tone(state), ...properties });
}

/** Shape and word; patched in place when the state changes. */
export function stateMark(state, note = "") {
  return setState(h("span", { class: "state" }), state, note);
}

export function setState(element, state, note = "") {
  keep(element, `${state} ${note}`, () => {
    element.dataset.tone = tone(state);
    return [signal(state), h("span", null, word(state)), note && h("span", { class: "muted note" }, note)];
  });
  return element;
}
