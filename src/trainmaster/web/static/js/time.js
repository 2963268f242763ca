// The service's clock, and times on the page that grow older by themselves.

import { h } from "./dom.js";
import { absolute, ago, duration } from "./format.js";

let ahead = 0;

/** Seconds since the epoch on the service's clock: a browser's own may be wrong. */
export const now = () => Date.now() / 1000 + ahead;

export function learnClock(serverTime) {
  ahead = serverTime - Date.now() / 1000;
}

/** "3 min ago", with the absolute time on hover. */
export function when(time) {
  return h("time", { datetime: new Date(time * 1000).toISOString(), title: absolute(time), "data-ago": time }, ago(time, now()));
}

/** A duration that grows from `since`, as long as it is on the page. */
export function growing(since, base = 0) {
  return h("span", { "data-since": since, "data-base": base }, duration(base + now() - since));
}

export function tick() {
  const present = now();
  for (const element of document.querySelectorAll("[data-ago]")) {
    const text = ago(Number(element.dataset.ago), present);
    if (element.textContent !== text) element.textContent = text;
  }
  for (const element of document.querySelectorAll("[data-since]")) {
    const text = duration(Number(element.dataset.base) + Math.max(present - Number(element.dataset.since), 0));
    if (element.textContent !== text) element.textContent = text;
  }
}
