// The overview of the whole service, asked for when something happened and every few seconds besides.
// Every view reads it from here, so that a tab asks once.

import { get } from "./api.js";
import { onEvents } from "./live.js";

const EVERY_MS = 5000;
const SOONEST_MS = 900;

const watchers = new Set();
const worried = new Set();
let latest = null;
let asked = 0;
let timer = 0;

/** `watcher(overview)` now, if it is known, and after each change. Returns how to stop. */
export function onPulse(watcher) {
  watchers.add(watcher);
  if (latest) watcher(latest);
  return () => watchers.delete(watcher);
}

/** `watcher(text)` with what is wrong with the service's database, or null when nothing is. */
export function onTrouble(watcher) {
  worried.add(watcher);
}

function trouble(text) {
  for (const watcher of worried) watcher(text);
}

async function ask() {
  clearTimeout(timer);
  asked = Date.now();
  timer = setTimeout(ask, EVERY_MS);
  if (document.hidden) return;
  try {
    latest = await get("/overview");
  } catch (problem) {
    // Without an answer the live mark tells; an answer without an overview is the database's doing.
    if (problem.status >= 500) trouble(problem.message);
    return;
  }
  trouble(latest.trouble);
  for (const watcher of watchers) watcher(latest);
}

/** Ask soon, but not more often than a person can read. */
export function hasten() {
  clearTimeout(timer);
  timer = setTimeout(ask, Math.max(SOONEST_MS - (Date.now() - asked), 0));
}

export function startPulse() {
  onEvents(hasten);
  document.addEventListener("visibilitychange", () => document.hidden || hasten());
  ask();
}
