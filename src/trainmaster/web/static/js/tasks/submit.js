// The form that submits a task. What the service refuses is said beside the field it is about.

import { post } from "../api.js";
import { h } from "../dom.js";
import { dialog } from "../keys.js";
import { go } from "../router.js";
import { toast } from "../toast.js";
import { words } from "./words.js";

const FIELDS = [
  ["command", "Command", { placeholder: "python train.py --epochs 30", required: true, class: "mono" }, "what to run, as in a terminal"],
  ["name", "Name", { placeholder: "from the command", maxlength: "200" }, ""],
  ["cpus", "Cores per worker", { value: "1", inputmode: "decimal" }, ""],
  ["memory", "Memory per worker", { placeholder: "no limit, or 4GB" }, ""],
  ["gpus", "GPUs per worker", { value: "0", inputmode: "numeric" }, ""],
  ["workers", "Workers", { value: "1", placeholder: "1, or 1..4 if elastic" }, ""],
  ["priority", "Priority", { value: "0", inputmode: "decimal" }, ""],
  ["directory", "Working directory", { placeholder: "/home/me/project" }, ""],
  ["image", "Container image", { placeholder: "none: a process" }, ""],
  ["timeout", "Time limit", { placeholder: "none, or 90s, 5m, 2h" }, ""],
];
// The service names a field as it knows it; the form as a person does.
const ALIASES = { "resources.cpu_m": "cpus", "resources.memory": "memory", "resources.gpus": "gpus", timeout_s: "timeout" };
const NUMBERS = new Set(["cpus", "gpus", "priority"]);

function key() {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16)).join("");
}

function control([name, label, properties, hint]) {
  const input = h("input", { id: `new-${name}`, name, autocomplete: "off", spellcheck: "false", "aria-describedby": `new-${name}-error`, ...properties });
  return h("div", { class: `field ${name}` }, h("label", { for: `new-${name}` }, label, hint && h("span", { class: "muted" }, ` ${hint}`)), input, h("p", { class: "field-error", id: `new-${name}-error` }));
}

function body(form) {
  const task = { urgency: form.elements.urgency.value };
  for (const [name] of FIELDS) {
    const text = form.elements[name].value.trim();
    if (!text) continue;
    if (NUMBERS.has(name)) task[name] = Number.isFinite(Number(text)) ? Number(text) : text;
    else if (name === "workers") task[name] = /^\d+$/.test(text) ? Number(text) : text;
    else task[name] = text;
  }
  if (task.command) task.command = form.elements.shell.checked ? ["sh", "-c", task.command] : words(task.command);
  return task;
}

/** Said beside a field, a sentence needs neither the field's name nor a flag of the command line. */
const beside = (text) => text.replace(/^[\w.]+: /, "").replace(/--[a-z-]+ /g, "");

function tell(form, name, message, remedy) {
  const input = form.elements[name];
  const place = input && form.querySelector(`#new-${name}-error`);
  const said = [message, remedy].map(place ? beside : String);
  (place ?? form.querySelector("#new-error")).replaceChildren(said[0], said[1] && h("span", { class: "remedy" }, said[1]));
  if (place) {
    input.setAttribute("aria-invalid", "true");
    input.focus();
  }
}

export function openSubmit() {
  let attempt = { text: "", key: "" };
  const button = h("button", { type: "submit", class: "primary" }, "Submit");
  const form = h("form", { class: "submit-form", novalidate: true },
    FIELDS.slice(0, 1).map(control),
    h("label", { class: "check" }, h("input", { type: "checkbox", name: "shell" }), " through a shell (pipes, &&, variables)"),
    h("div", { class: "grid" }, FIELDS.slice(1).map(control),
      h("div", { class: "field" }, h("label", { for: "new-urgency" }, "Urgency"),
        h("select", { id: "new-urgency", name: "urgency" },
          h("option", { value: "normal" }, "normal"), h("option", { value: "urgent" }, "urgent"), h("option", { value: "highest" }, "highest: may interrupt others")),
        h("p", { class: "field-error", id: "new-urgency-error" }))),
    h("p", { class: "field-error", id: "new-error", role: "alert" }),
    h("div", { class: "actions" }, button));
  const box = dialog("Submit a task", form);
  form.elements.command.focus();
  form.addEventListener("input", (event) => {
    event.target.removeAttribute("aria-invalid");
    form.querySelector(`#new-${event.target.name}-error`)?.replaceChildren();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    for (const place of form.querySelectorAll(".field-error")) place.replaceChildren();
    let task;
    try {
      task = body(form);
    } catch (error) {
      tell(form, "command", error.message, "close it, or put a backslash before it");
      return;
    }
    // The same request keeps its key, so that trying again after a lost answer makes no second task.
    const text = JSON.stringify(task);
    if (attempt.text !== text) attempt = { text, key: key() };
    button.disabled = true;
    try {
      const made = await post("/tasks", task, { headers: { "Idempotency-Key": attempt.key } });
      box.close();
      toast(`Submitted ${made.name}.`);
      go(`/tasks/${made.id}`);
    } catch (problem) {
      const named = problem.fields?.field ?? "";
      tell(form, ALIASES[named] ?? named.split(".")[0], problem.message, problem.remedy);
    } finally {
      button.disabled = false;
    }
  });
}
