// Keyboard: one letter each, never while somebody types.

import { h, icon } from "./dom.js";
import { go } from "./router.js";

const PLACES = { o: "/", t: "/tasks", w: "/workflows", n: "/nodes", r: "/triggers", f: "/forecast", p: "/policies", a: "/alarms" };
const HELP = [
  ["/", "Search"],
  ["g o · g t · g w · g n · g r · g f · g p · g a", "Go to Overview, Tasks, Workflows, Nodes, Triggers, Forecast, Policies, Alarms"],
  ["j · k", "Next and previous row"],
  ["Enter", "Open the row"],
  ["x", "Select the row"],
  ["c", "Submit a task (on Tasks)"],
  ["f", "Follow the log (on a task’s log)"],
  ["Esc", "Close, or leave a field"],
  ["?", "This list"],
];
const CHORD_MS = 1200;

const handlers = new Map();
let chord = 0;

/** A view's own key. Returns how to give it back. */
export function onKey(key, handler) {
  handlers.set(key, handler);
  return () => handlers.get(key) === handler && handlers.delete(key);
}

function typing(target) {
  return target.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable]");
}

function pressed(event) {
  if (event.metaKey || event.ctrlKey || event.altKey) return;
  if (event.key === "Escape" && typing(event.target)) event.target.blur();
  if (typing(event.target) || document.querySelector("dialog[open]")) return;
  if (event.timeStamp - chord < CHORD_MS && PLACES[event.key]) {
    chord = 0;
    event.preventDefault();
    go(PLACES[event.key]);
    return;
  }
  chord = event.key === "g" ? event.timeStamp : 0;
  if (event.key === "/") {
    event.preventDefault();
    document.querySelector("#search input").focus();
  } else if (event.key === "?") help();
  else if (handlers.has(event.key)) {
    // Enter on a link or button means that one.
    if (event.key === "Enter" && event.target.closest?.("a, button")) return;
    event.preventDefault();
    handlers.get(event.key)(event);
  }
}

export function dialog(heading, ...content) {
  const close = h("button", { type: "button", class: "icon-button", "aria-label": "Close", onclick: () => box.close() }, icon("close"));
  const box = h("dialog", { "aria-label": heading }, h("div", { class: "dialog-head" }, h("h1", null, heading), close), content);
  box.addEventListener("close", () => box.remove());
  box.addEventListener("click", (event) => event.target === box && box.close());
  document.body.append(box);
  box.showModal();
  return box;
}

function help() {
  dialog("Keyboard", h("dl", { class: "keys" }, HELP.map(([key, text]) => [h("dt", null, h("kbd", null, key)), h("dd", null, text)])));
}

export function startKeys() {
  document.addEventListener("keydown", pressed);
  document.getElementById("help").addEventListener("click", help);
}
