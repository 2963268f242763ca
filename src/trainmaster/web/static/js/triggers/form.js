// A new trigger: a rule, and a command or a workflow for each time it is due.

import { get, post } from "../api.js";
import { h } from "../dom.js";
import { dialog } from "../keys.js";
import { attempt } from "../toast.js";

const OVERLAPS = { skip: "skip it", allow: "run beside it", "queue-one": "let one wait", "queue-all": "let all wait", "cancel-old": "cancel the old one" };
const COMMAND = "";

const field = (name, input, note) => h("label", null, h("span", null, name, note && h("small", { class: "muted" }, ` ${note}`)), input);

const text = (name, given) => h("input", { name, autocomplete: "off", spellcheck: "false", ...given });

const select = (name, options, chosen) => h("select", { name }, Object.entries(options).map(([value, told]) => h("option", { value, selected: value === chosen }, told)));

/** JSON where it is, else the text: the service says what is wrong with it. */
function read(parameter, told) {
  if (parameter.type === "string" || told.includes("${{")) return told;
  try {
    return JSON.parse(told);
  } catch {
    return told;
  }
}

function rule(told) {
  return /^\d+(\.\d+)?(ms|s|m|h|d|w)$/.test(told) ? { every: told } : { cron: told, zone: Intl.DateTimeFormat().resolvedOptions().timeZone };
}

/** `workflow`: the one chosen at first. `done(trigger)` is called once it is made. */
export async function askForTrigger(done, workflow = COMMAND) {
  const workflows = await get("/workflows");
  const starts = select("starts", { [COMMAND]: "a command", ...Object.fromEntries(workflows.map((one) => [one.name, `workflow ${one.name}`])) }, workflow);
  const what = h("div", { class: "flow-form" });
  let parameters = [];

  function drawWhat() {
    const chosen = workflows.find((one) => one.name === starts.value);
    parameters = (chosen?.parameters ?? []).map((parameter) => [parameter, text(parameter.name, { required: parameter.required, value: parameter.required ? "" : parameter.type === "string" ? parameter.default : JSON.stringify(parameter.default) })]);
    what.replaceChildren(...(chosen
      ? parameters.map(([parameter, input]) => field(parameter.name, input, `${parameter.type}; \${{ due.date }} is the day it is due`))
      : [field("Command", text("command", { required: true, placeholder: "python train.py" }))]));
  }

  starts.addEventListener("change", drawWhat);
  drawWhat();
  const form = h("form", { class: "flow-form" },
    field("Name", text("name", { required: true })),
    field("When", text("when", { required: true, placeholder: "30 2 * * *" }), "a cron line on this clock, or such as 6h"),
    field("Starts", starts), what,
    field("While an earlier one is live", select("overlap", OVERLAPS, "skip")),
    h("button", { type: "submit", class: "primary" }, "Make it"));
  const box = dialog("New trigger", form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(form));
    const target = starts.value === COMMAND
      ? { task: { command: ["sh", "-c", given.command], name: given.name } }
      : { workflow: starts.value, parameters: Object.fromEntries(parameters.map(([parameter, input]) => [parameter.name, read(parameter, input.value)])) };
    await attempt(async () => {
      const made = await post("/triggers", { name: given.name, overlap: given.overlap, ...rule(given.when.trim()), ...target });
      box.close();
      done(made);
    });
  });
}
