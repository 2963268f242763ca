// Starts the frame and its views.

import { startAlarmCount } from "./alarm-count.js";
import { setText } from "./dom.js";
import { startKeys } from "./keys.js";
import { startLive } from "./live.js";
import { onPulse, onTrouble, startPulse } from "./pulse.js";
import { go, query, reopen, route, startRouter } from "./router.js";
import { WAITING } from "./states.js";
import { installTheme } from "./theme.js";
import { attempt } from "./toast.js";
import { learnClock, tick } from "./time.js";
import { openAlarms } from "./views/alarms.js";
import { openForecast } from "./views/forecast.js";
import { openNodes } from "./views/nodes.js";
import { openOverview } from "./views/overview.js";
import { openPolicies } from "./views/policies.js";
import { openTask } from "./views/task.js";
import { openTasks } from "./views/tasks.js";
import { openTrigger } from "./views/trigger.js";
import { openTriggers } from "./views/triggers.js";
import { openWhatIf } from "./views/whatif.js";
import { openWorkflow } from "./views/workflow.js";
import { openWorkflowRun } from "./views/workflow-run.js";
import { openWorkflows } from "./views/workflows.js";

const search = document.getElementById("search");

search.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = search.elements.text.value.trim();
  if (/^t-[0-9a-z]{10}$/.test(text)) go(`/tasks/${text}`);
  else if (/^w-[0-9a-z]{10}$/.test(text)) go(`/workflows/run/${text}`);
  else go(text ? `/tasks?text=${encodeURIComponent(text)}` : "/tasks");
  search.elements.text.blur();
});

document.getElementById("logout")?.addEventListener("click", () => {
  attempt(async () => {
    await fetch("/logout", { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" });
    location.replace("/");
  });
});

onPulse((overview) => {
  learnClock(overview.time);
  const live = (overview.counts.RUNNING ?? 0) + (overview.counts.RESIZING ?? 0);
  const waiting = WAITING.reduce((sum, state) => sum + (overview.counts[state] ?? 0), 0);
  const busy = document.querySelector('[data-count="/tasks"]');
  busy.textContent = live + waiting ? `${live} / ${live + waiting}` : "";
  busy.title = `${live} running of ${live + waiting} not ended`;
});

onTrouble((text) => {
  const banner = document.getElementById("store-trouble");
  banner.hidden = !text;
  setText(banner, text ? `The database is in trouble: ${text}. What runs goes on, and nothing accepted is lost.` : "");
});

installTheme(document.getElementById("theme"));
startKeys();
startPulse();
startAlarmCount();
startLive(document.getElementById("live"), reopen);
setInterval(tick, 1000);

route("/", openOverview);
route("/tasks", openTasks);
route("/tasks/{task}", openTask);
route("/tasks/{task}/{tab}", openTask);
route("/workflows", openWorkflows);
route("/workflows/{workflow}", openWorkflow);
route("/workflows/{workflow}/{run}", openWorkflowRun);
route("/nodes", openNodes);
route("/triggers", openTriggers);
route("/triggers/{trigger}", openTrigger);
route("/forecast", openForecast);
route("/policies", openPolicies);
route("/alarms", openAlarms);
route("/policies/whatif", openWhatIf);
startRouter(document.getElementById("view"));
search.elements.text.value = location.pathname === "/tasks" ? (query().get("text") ?? "") : "";
