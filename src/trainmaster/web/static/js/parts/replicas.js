// The processes of the service: roles, who leads, and their beats.

import { get } from "../api.js";
import { h, keep } from "../dom.js";
import { duration } from "../format.js";

const REFRESH_MS = 5000;
const STALE_S = 5;

function row(one) {
  const late = one.beat_age_s > STALE_S;
  return h("tr", null,
    h("td", null, h("code", null, one.id), h("span", { class: "muted" }, ` ${one.host}, pid ${one.pid}`)),
    h("td", null, one.roles.join(", ")),
    h("td", null, one.leads.map((role) => h("span", { class: "chip on" }, role))),
    h("td", { class: late ? "" : "muted", "data-tone": late ? "failed" : undefined }, `${duration(one.beat_age_s)} ago`));
}

/** A panel that looks after itself until it is closed. */
export function replicas() {
  const body = h("div", { class: "body" });
  const element = h("section", { class: "panel replicas" }, h("header", null, h("h2", null, "Service")), body);
  let closed = false;

  async function load() {
    if (document.hidden) return;
    const told = await get("/services").catch(() => null);
    if (!told || closed) return;
    keep(body, told.replicas.map((one) => [one.id, one.leads, Math.round(one.beat_age_s)]), () => [
      told.leader === null && h("p", { class: "notice" }, "Nobody leads at the moment. Submissions are accepted, and wait."),
      h("table", { class: "table" },
        h("thead", null, h("tr", null, ["Replica", "Roles", "Leads", "Beat"].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", null, told.replicas.map(row))),
    ]);
  }

  load();
  const timer = setInterval(load, REFRESH_MS);
  return {
    element,
    close() {
      closed = true;
      clearInterval(timer);
    },
  };
}
