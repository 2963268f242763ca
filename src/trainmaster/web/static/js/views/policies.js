// Profiles: the sets of policies, and switching between them while everything runs.

import { get, put } from "../api.js";
import { h } from "../dom.js";
import { onEvents } from "../live.js";
import { hasten } from "../pulse.js";
import { may } from "../rights.js";
import { title } from "../router.js";
import { attempt } from "../toast.js";

const PARTS = [
  ["ordering", "which waiting task is next"],
  ["allotment", "how many workers an elastic task gets"],
  ["placement", "which nodes they go to"],
  ["preemption", "who yields to something more urgent"],
];

export function openPolicies(outlet) {
  title("Policies");
  const list = h("div", { class: "profiles" });
  outlet.append(
    h("div", { class: "view-head" }, h("h1", null, "Policies")),
    h("p", { class: "muted lead" }, "A profile is a named set of policies. Switching takes effect with the next decision; what runs goes on, and the switch is an event in the history."),
    list,
  );

  async function draw() {
    let profiles;
    try {
      profiles = await get("/profiles");
    } catch (problem) {
      if (!list.childElementCount) list.replaceChildren(h("p", { class: "notice" }, problem.message));
      return;
    }
    list.replaceChildren(...profiles.map((profile) =>
      h("section", { class: "panel profile", "aria-current": profile.active && "true" },
        h("header", null, h("h2", null, profile.name),
          profile.active
            ? h("span", { class: "chip on" }, "in use")
            : h("button", {
                type: "button", disabled: !may("operator"), title: may("operator") ? "" : "needs the role operator",
                onclick: async () => {
                  if (await attempt(() => put("/profile", { name: profile.name }), `Switched to ${profile.name}.`)) hasten();
                  draw();
                },
              }, "Switch to it")),
        h("div", { class: "body" },
          h("p", null, profile.summary),
          h("p", null, h("a", { href: `/policies/whatif?profile=${encodeURIComponent(profile.name)}` }, profile.active ? "How well does a replay tell what happened?" : "What if it had been in use?")),
          h("dl", { class: "facts" }, PARTS.map(([part, meaning]) => [h("dt", { title: meaning }, part), h("dd", null, h("code", null, profile[part]), h("span", { class: "muted" }, ` ${meaning}`))]))))));
  }

  draw();
  const stop = onEvents((events) => events.some((event) => event.kind === "profile-switched") && draw());
  return { close: stop };
}
