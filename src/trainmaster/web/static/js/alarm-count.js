// How many alarms are open, beside their name in the rail.

import { get } from "./api.js";

const REFRESH_MS = 10_000;

export function startAlarmCount() {
  const mark = document.querySelector('[data-count="/alarms"]');
  async function look() {
    if (document.hidden) return;
    const told = await get("/alarms", { limit: 100 }).catch(() => null);
    if (!told) return;
    const open = told.alarms.filter((alarm) => alarm.state === "OPEN").length;
    mark.textContent = open ? (told.next ? `${open}+` : String(open)) : "";
    mark.title = open ? `${mark.textContent} open and nobody takes care of` : "";
  }
  look();
  setInterval(look, REFRESH_MS);
}
