// The one event stream of this tab. A hidden tab lets go of it, since a browser grants six connections to a
// host, and resumes where it was when it is looked at again.

import { get, onReach } from "./api.js";

const RETRY_MS = 2000;
const GATHER_MS = 150;
const CATCH_UP_MS = 5 * 60 * 1000; // hidden for longer, a tab begins anew instead of replaying it all
const KINDS = { live: "live", wait: "connecting", stale: "stale" };

const listeners = new Set();
let source = null;
let last = null;
let gathered = [];
let timer = 0;
let mark = null;
let reachable = true;
let open = false;
let hiddenAt = 0;

/** `listener(events)` gets what happened, gathered for a moment. Returns how to stop listening. */
export function onEvents(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function show() {
  const state = open && reachable ? "live" : source === null && reachable ? "wait" : "stale";
  if (mark.dataset.state === state) return;
  mark.dataset.state = state;
  mark.querySelector(".label").textContent = KINDS[state];
  mark.title = state === "live" ? "Changes appear as they happen" : "What you see may be old; trying again";
}

function deliver() {
  timer = 0;
  const events = gathered;
  gathered = [];
  for (const listener of listeners) listener(events);
}

function take(message) {
  last = Number(message.lastEventId);
  gathered.push(JSON.parse(message.data));
  if (!timer) timer = setTimeout(deliver, GATHER_MS);
}

function connect() {
  if (source || document.hidden) return;
  source = new EventSource(last === null ? "/v1/events/stream" : `/v1/events/stream?after=${last}`);
  source.addEventListener("open", () => {
    open = true;
    reachable = true;
    show();
  });
  source.addEventListener("event", take);
  source.addEventListener("error", () => {
    // The browser would retry too, but not after every kind of failure.
    disconnect();
    show();
    setTimeout(connect, RETRY_MS);
  });
}

function disconnect() {
  source?.close();
  source = null;
  open = false;
}

async function present() {
  // Where the history ends now, so that nothing is missed between a view's first look and the stream.
  try {
    last = (await get("/events", { limit: 1 })).next;
  } catch {
    last = null;
  }
}

/** `anew()` is called when the tab was away for so long that its view should be drawn again. */
export async function startLive(element, anew) {
  mark = element;
  onReach((well) => {
    if (well === reachable) return;
    reachable = well;
    show();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      hiddenAt = Date.now();
      disconnect();
    } else if (Date.now() - hiddenAt > CATCH_UP_MS) present().then(anew).then(connect);
    else connect();
  });
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", connect);
  await present();
  connect();
  show();
}
