// Pause, go on, run now: the same buttons wherever a trigger is shown.

import { post } from "../api.js";
import { h } from "../dom.js";
import { mayChange } from "../rights.js";
import { attempt } from "../toast.js";

const address = (trigger, deed) => `/triggers/${encodeURIComponent(trigger.id)}/${deed}`;

/** `done()` is called after each, to look again. */
export function actions(trigger, done) {
  const may = mayChange(trigger);
  const title = may ? null : "only its owner or an operator may";
  const act = async (deed, told) => {
    await attempt(async () => {
      const answer = await post(address(trigger, deed));
      told(answer);
    });
    done();
  };
  return h("span", { class: "trigger-actions" },
    h("button", { type: "button", disabled: !may, title, onclick: () => act("run", (firing) => { if (firing.outcome !== "fired") throw new Error(`${firing.outcome}: ${firing.reason}`); }) }, "Run now"),
    trigger.paused
      ? h("button", { type: "button", disabled: !may, title, onclick: () => act("resume", () => {}) }, "Resume")
      : h("button", { type: "button", disabled: !may, title, onclick: () => act("pause", () => {}) }, "Pause"));
}
