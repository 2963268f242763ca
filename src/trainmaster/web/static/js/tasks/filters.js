// The filters above the table. The address holds them; the controls only show it.

import { h, keep } from "../dom.js";
import { query, setQuery } from "../router.js";
import { GROUPS, signal } from "../states.js";

const TYPING_MS = 250;

export const filters = () => {
  const search = query();
  return { state: search.getAll("state"), user: search.get("user") ?? "", text: search.get("text") ?? "" };
};

export const filtered = () => {
  const { state, user, text } = filters();
  return Boolean(state.length || user || text);
};

const same = (some, others) => some.length === others.length && some.every((one) => others.includes(one));

export function filterBar(onChange) {
  const groups = h("div", { class: "segments", role: "group", "aria-label": "State" });
  const text = h("input", { type: "search", placeholder: "Name or id", "aria-label": "Name or id", spellcheck: "false", maxlength: "200" });
  const user = h("input", { type: "search", placeholder: "User", "aria-label": "User", spellcheck: "false", maxlength: "64", class: "short" });
  let timer = 0;
  for (const [name, input] of [["text", text], ["user", user]]) {
    input.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        setQuery({ [name]: input.value.trim() });
        onChange();
      }, TYPING_MS);
    });
  }

  function draw(counts = {}) {
    const now = filters();
    if (document.activeElement !== text) text.value = now.text;
    if (document.activeElement !== user) user.value = now.user;
    const all = Object.values(counts).reduce((sum, one) => sum + one, 0);
    const choices = [{ name: "All", states: [] }, ...GROUPS];
    const known = choices.some((choice) => same(now.state, choice.states));
    if (!known) choices.push({ name: now.state.join(", "), states: now.state });
    keep(groups, [counts, now.state], () =>
      choices.map(({ name, states }) => {
        const number = states.length ? states.reduce((sum, state) => sum + (counts[state] ?? 0), 0) : all;
        return h("button", {
          type: "button",
          "aria-pressed": String(same(now.state, states)),
          onclick: () => {
            setQuery({ state: states }, { push: true });
            onChange();
          },
        }, states.length ? signal(states.includes("RUNNING") ? "RUNNING" : states.includes("QUEUED") ? "QUEUED" : states[0]) : null, name, h("b", null, number.toLocaleString("en")));
      }));
  }

  return { element: h("div", { class: "filters" }, groups, text, user), draw };
}
