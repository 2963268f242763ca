// The task as it was submitted, and the command that would submit it again.

import { h, keep } from "../dom.js";
import { absolute, bytes, cores } from "../format.js";
import { joined } from "../tasks/words.js";
import { toast } from "../toast.js";

function again(task) {
  const flags = ["--name", task.name];
  if (task.cpus !== 1 && !task.function) flags.push("--cpus", String(task.cpus));
  if (task.memory) flags.push("--memory", String(task.memory));
  if (task.gpus) flags.push("--gpus", String(task.gpus));
  if (task.max_workers > 1) flags.push("--workers", task.min_workers === task.max_workers ? String(task.min_workers) : `${task.min_workers}..${task.max_workers}`);
  if (task.image) flags.push("--image", task.image);
  if (task.directory) flags.push("--directory", task.directory);
  for (const [name, value] of Object.entries(task.labels)) flags.push("--label", `${name}=${value}`);
  if (task.function) flags.push("--function", task.function);
  return `trainmaster submit ${joined(flags)}${task.command.length ? ` -- ${joined(task.command)}` : ""}`;
}

export function openDefinition(body, context) {
  const box = h("div", { class: "tab-scroll padded", tabindex: "0" });
  body.append(box);

  function draw(task) {
    const facts = [
      ["Kind", task.kind],
      ["Command", task.command.length ? h("code", null, joined(task.command)) : null],
      ["Function", task.function && h("code", null, task.function)],
      ["Image", task.image && h("code", null, task.image)],
      ["Directory", task.directory && h("code", null, task.directory)],
      ["Per worker", [cores(task.cpus), task.memory && bytes(task.memory), task.gpus && `${task.gpus} GPUs`].filter(Boolean).join(", ")],
      ["Workers", task.min_workers === task.max_workers ? task.min_workers : `${task.min_workers} to ${task.max_workers}, elastic`],
      ["Priority", `${task.priority}, ${task.urgency}`],
      ["User", task.user],
      ["After", task.after.length ? task.after.map((id) => [h("a", { href: `/tasks/${id}` }, id), " "]) : null],
      ["Labels", Object.entries(task.labels).map(([name, value]) => h("span", { class: "chip" }, `${name}=${value}`))],
      ["Submitted", absolute(task.submitted_at)],
      ["Result", task.result === null ? null : h("code", null, JSON.stringify(task.result))],
    ].filter(([, value]) => value && value.length !== 0);
    const command = again(task);
    keep(box, [task.result, task.priority, task.urgency, command], () => [
      h("dl", { class: "facts" }, facts.map(([label, value]) => [h("dt", null, label), h("dd", null, value)])),
      h("h2", null, "Submit it again"),
      h("pre", { class: "code wrap" }, command),
      h("button", { type: "button", onclick: () => navigator.clipboard.writeText(command).then(() => toast("Copied."), () => toast("The browser forbids copying.", "select the text instead", true)) }, "Copy"),
    ]);
  }

  draw(context.task());
  return { close: context.onTask(draw) };
}
