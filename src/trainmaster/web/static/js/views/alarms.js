// Alarms: what is wrong and who takes care of it, what was, and the rules and channels behind it.

import { get, post } from "../api.js";
import { h, keep, setText } from "../dom.js";
import { count, duration } from "../format.js";
import { may } from "../rights.js";
import { query, setQuery, title } from "../router.js";
import { when } from "../time.js";
import { attempt } from "../toast.js";

const REFRESH_MS = 3000;
const SHOWN = 200;
const TONES = { OPEN: "failed", ACKNOWLEDGED: "waiting", RESOLVED: "succeeded" };

const linked = (text) =>
  text.split(/(t-[0-9a-z]{10})/).map((part) => (/^t-[0-9a-z]{10}$/.test(part) ? h("a", { href: `/tasks/${part}` }, part) : part));

function standing(alarm) {
  if (alarm.state === "RESOLVED") return ["over ", when(alarm.resolved_at), `, lasted ${duration(alarm.resolved_at - alarm.opened_at)}`];
  if (alarm.state === "ACKNOWLEDGED") return [`${alarm.acknowledged_by} takes care of it since `, when(alarm.acknowledged_at)];
  return ["opened ", when(alarm.opened_at)];
}

function item(alarm, reload) {
  const take = h("button", {
    type: "button", disabled: !may("operator"), title: may("operator") ? "It is told again only when it is over" : "needs the role operator",
    onclick: async () => {
      await attempt(() => post(`/alarms/${alarm.id}/acknowledge`), "It is yours.");
      reload();
    },
  }, "Acknowledge");
  return h("li", { class: "panel alarm", id: alarm.id, "data-tone": TONES[alarm.state], "data-severity": alarm.severity },
    h("div", { class: "alarm-what" },
      h("p", null, h("b", null, alarm.rule), alarm.group && h("span", { class: "muted" }, ` ${alarm.group}`), h("span", { class: "chip" }, alarm.severity)),
      h("p", { class: "alarm-text" }, linked(alarm.text)),
      h("p", { class: "muted" }, standing(alarm), ` · ${count(alarm.count, "time")}`, alarm.count > 1 && [", the last ", when(alarm.last_at)], ` · told ${count(alarm.told, "time")}`)),
    alarm.state === "OPEN" && take);
}

function rules(list) {
  if (!list.length) return h("div", { class: "empty" }, h("p", null, "No rule: nothing opens an alarm. For example:"), h("pre", { class: "code" }, "trainmaster alarm add failures task-failed --after 3 --within 10m"));
  return h("table", { class: "table" },
    h("thead", null, h("tr", null, ["Rule", "Condition", "Severity", "Channels"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", null, list.map((rule) => h("tr", { class: rule.enabled ? "" : "muted" },
      h("td", null, rule.name, !rule.enabled && " (off)"),
      h("td", null, rule.condition, rule.tasks !== "*" && ` of ${rule.tasks}`, rule.nodes !== "*" && ` of ${rule.nodes}`, rule.after > 1 && `, ${rule.after} times within ${duration(rule.within_s)}`),
      h("td", null, rule.severity), h("td", null, rule.channels.join(", ") || "this page alone")))));
}

function channels(list) {
  if (!list.length) return h("p", { class: "muted" }, "No channel: alarms show on this page alone.");
  return h("ul", { class: "channels" }, list.map((channel) => h("li", null,
    h("b", null, channel.name), h("span", { class: "muted" }, ` ${channel.kind}${channel.enabled ? "" : " (off)"} `),
    h("button", {
      type: "button", disabled: !may("operator"),
      onclick: () => attempt(async () => {
        const sent = await post(`/channels/${channel.name}/test`);
        if (sent.state !== "SENT") throw Object.assign(new Error(sent.error), { remedy: "Check the channel’s settings." });
      }, `A test went out over ${channel.name}.`),
    }, "Test"))));
}

export function openAlarms(outlet) {
  title("Alarms");
  const summary = h("span", { class: "muted" });
  const all = h("input", { type: "checkbox", checked: query().has("all") });
  const list = h("ul", { class: "alarms" });
  const rulesBody = h("div", { class: "body" });
  const channelsBody = h("div", { class: "body" });
  outlet.append(
    h("div", { class: "view-head" }, h("h1", null, "Alarms"), summary, h("span", { class: "grow" }), h("label", { class: "toggle" }, all, "Show those that are over")),
    list,
    h("section", { class: "panel" }, h("header", null, h("h2", null, "Rules")), rulesBody),
    h("section", { class: "panel" }, h("header", null, h("h2", null, "Channels")), channelsBody));
  outlet.classList.add("alarms-view");
  let closed = false;

  async function load() {
    const told = await get("/alarms", { all: all.checked, limit: SHOWN }).catch(() => null);
    if (!told || closed) return;
    const open = told.alarms.filter((alarm) => alarm.state === "OPEN").length;
    const taken = told.alarms.filter((alarm) => alarm.state === "ACKNOWLEDGED").length;
    setText(summary, open + taken ? `${open} open, ${taken} acknowledged${told.next ? ", the latest shown" : ""}` : "");
    keep(list, told.alarms, () =>
      told.alarms.length
        ? told.alarms.map((alarm) => item(alarm, load))
        : h("li", { class: "muted none" }, all.checked ? "There was no alarm." : "No alarm is open."));
  }

  async function loadRules() {
    const [ruled, carried] = await Promise.all([get("/alarm-rules"), get("/channels")]).catch(() => [null, null]);
    if (!ruled || closed) return;
    keep(rulesBody, ruled, () => rules(ruled));
    keep(channelsBody, carried, () => channels(carried));
  }

  all.addEventListener("change", () => {
    setQuery({ all: all.checked && "1" });
    load();
  });
  load();
  loadRules();
  const timer = setInterval(() => document.hidden || (load(), loadRules()), REFRESH_MS);
  return {
    close() {
      closed = true;
      clearInterval(timer);
      outlet.classList.remove("alarms-view");
    },
  };
}
