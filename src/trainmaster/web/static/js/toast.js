// Short messages at the edge: what was done, or why not and what to do.

import { h } from "./dom.js";

const SHOWN_MS = 5000;

export function toast(text, remedy = "", bad = false) {
  const box = h("div", { class: bad ? "toast bad" : "toast" }, h("div", null, text), remedy && h("div", { class: "remedy" }, remedy));
  document.getElementById("toasts").append(box);
  setTimeout(() => box.remove(), bad ? 2 * SHOWN_MS : SHOWN_MS);
}

/** Do something for the person; tell them if it is refused. Answers whether it worked. */
export async function attempt(action, done = "") {
  try {
    await action();
    if (done) toast(done);
    return true;
  } catch (problem) {
    toast(problem.message, problem.remedy, true);
    return false;
  }
}
