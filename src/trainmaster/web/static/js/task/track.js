// The life of a task as stations of a line: where it has been, where it is.

import { h, keep } from "../dom.js";
import { signal, tone, word } from "../states.js";

const LINE = ["SUBMITTED", "QUEUED", "ACCEPTED", "PREPARING", "RUNNING", "SUCCEEDED"];
// States beside the main line stand where the task would go on from.
const BESIDE = { BLOCKED: "QUEUED", INTERRUPTED: "QUEUED", LOST: "QUEUED", RESIZING: "RUNNING", FAILED: "SUCCEEDED", CANCELLED: "SUCCEEDED" };

export function drawTrack(box, task) {
  // Only containers are prepared: images pulled, volumes made.
  const line = task.kind === "container" || task.state === "PREPARING" ? LINE : LINE.filter((station) => station !== "PREPARING");
  const place = BESIDE[task.state] ?? task.state;
  const at = line.indexOf(place);
  const reached = task.ended_at === null ? at : line.indexOf(task.first_started_at ? "RUNNING" : task.attempt ? "ACCEPTED" : "QUEUED");
  keep(box, [task.state, reached], () =>
    line.map((station, index) => {
      const here = index === at;
      const state = here ? task.state : station;
      const passed = !here && index <= reached;
      return h("li", { "data-tone": here ? tone(state) : null, class: here ? "here" : passed ? "passed" : "ahead", "aria-current": here && "step" },
        here ? signal(state) : h("i", { "aria-hidden": "true" }), h("span", null, word(state)));
    }));
}
