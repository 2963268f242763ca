// The log of a task: the tail first, older pages on the way up, new lines as they come.

import { address, get } from "../api.js";
import { h, setText } from "../dom.js";
import { onKey } from "../keys.js";
import { LogList } from "../log/list.js";
import { LogWindow } from "../log/window.js";
import { query, setQuery } from "../router.js";
import { toast } from "../toast.js";

const TYPING_MS = 300;
const SOON_MS = 300; // between looks while lines come
const LATE_MS = 2000; // and while they do not
const ERRORS = "(?i)(error|exception|traceback|fatal|panic|segmentation fault|killed)";

const filterOf = (search) => ({
  stream: search.getAll("stream"),
  rank: search.get("rank") ?? "",
  attempt: search.get("attempt") ?? "",
  text: search.get("text") ?? "",
  regex: search.get("regex") === "1" && Boolean(search.get("text")),
});

export function openLog(body, context) {
  const text = h("input", { type: "search", placeholder: "Filter lines", "aria-label": "Filter lines by text", spellcheck: "false", maxlength: "500", value: query().get("text") ?? "" });
  const regex = h("button", { type: "button", title: "Regular expression", "aria-label": "Regular expression", class: "mono" }, ".*");
  const stream = h("select", { "aria-label": "Stream" }, [["", "All streams"], ["STDOUT", "stdout"], ["STDERR", "stderr"], ["RAW", "raw"]].map(([value, label]) => h("option", { value }, label)));
  const attempt = h("select", { "aria-label": "Attempt", hidden: true });
  const rank = h("select", { "aria-label": "Rank", hidden: true });
  const follow = h("button", { type: "button", title: "Keep the newest line in sight (f)" }, "Follow");
  const error = h("button", { type: "button", title: "Jump to the first line that looks like an error" }, "First error");
  const start = h("button", { type: "button", title: "To the first line", "aria-label": "To the first line" }, "⇤");
  const downloads = h("details", { class: "menu" }, h("summary", { class: "button" }, "Download"), h("ul"));
  const note = h("p", { class: "log-note muted", role: "status" });
  const list = new LogList({ onLine: link, onEdge: edge, onScroll: scrolled });
  body.append(h("div", { class: "toolbar" }, text, regex, stream, attempt, rank, h("span", { class: "grow" }), note, error, start, follow, downloads), list.element);

  let lines = null;
  let following = true;
  let timer = 0;
  let typing = 0;
  let closed = false;
  let pulling = false;

  function drawControls() {
    const now = filterOf(query());
    stream.value = now.stream[0] ?? "";
    regex.setAttribute("aria-pressed", String(query().get("regex") === "1"));
    follow.setAttribute("aria-pressed", String(following));
    const { attempt: attempts, max_workers: workers } = context.task();
    choices(attempt, now.attempt, attempts > 1 ? Array.from({ length: attempts }, (_, at) => attempts - at) : [], "All attempts", "attempt");
    choices(rank, now.rank, workers > 1 ? Array.from({ length: Math.min(workers, 64) }, (_, at) => at) : [], "All ranks", "rank");
    list.showRank = workers > 1;
  }

  function say(textToSay) {
    setText(note, textToSay);
  }

  function describe() {
    if (!lines || closed) return;
    const number = lines.lines.length.toLocaleString("en");
    const bound = lines.older === null && lines.newer === null ? "" : " loaded";
    if (lines.lines.length) say(`${number} line${lines.lines.length === 1 ? "" : "s"}${bound}`);
    else if (query().get("text") || query().get("stream")) say("No line matches.");
    else say(lines.complete ? "It wrote nothing." : context.task().started_at ? "Nothing written yet." : "It has not started: the log comes here as soon as it writes.");
  }

  /** Begin anew with the filters and the line of the address. */
  async function restart() {
    lines?.close();
    const mine = (lines = new LogWindow(context.id, filterOf(query())));
    clearTimeout(timer);
    drawControls();
    say("Reading…");
    const wanted = Number(query().get("line")) || null;
    try {
      if (wanted) await mine.around(wanted);
      else await mine.tail();
    } catch (problem) {
      if (problem.name === "AbortError" || closed) return;
      say(problem.remedy ? `${problem.message}: ${problem.remedy}` : problem.message);
      if (!problem.status) timer = setTimeout(restart, LATE_MS);
      return;
    }
    if (lines !== mine || closed) return;
    list.clear();
    list.set(mine.lines);
    if (wanted) {
      setFollowing(false);
      list.mark(wanted);
    } else list.toEnd();
    describe();
    schedule(SOON_MS);
  }

  function schedule(wait) {
    clearTimeout(timer);
    if (!closed && !lines.complete) timer = setTimeout(pull, wait);
  }

  /** New lines. While somebody follows and more comes than can be read, jump to the tail. */
  async function pull() {
    const mine = lines;
    if (document.hidden || (mine.newer !== null && !following)) return schedule(LATE_MS);
    let came = 0;
    try {
      if (following && mine.newer !== null) {
        await mine.tail();
        if (lines !== mine || closed) return;
        list.set(mine.lines);
        list.toEnd();
        came = 1;
      } else came = await grow(mine);
    } catch (problem) {
      if (problem.name === "AbortError") return;
    }
    if (lines === mine && !closed) schedule(came ? SOON_MS : LATE_MS / 2);
  }

  async function grow(mine) {
    const { added, dropped } = await mine.down();
    if (lines !== mine || closed) return 0;
    if (added) {
      list.set(mine.lines, -dropped);
      if (following) list.toEnd();
    }
    describe();
    return added;
  }

  async function edge(which) {
    const mine = lines;
    if (!mine || mine.busy || pulling) return;
    pulling = true;
    try {
      if (which === "up" && mine.older !== null) {
        say("Reading older lines…");
        const came = await mine.up();
        if (lines === mine && !closed) list.set(mine.lines, came);
        describe();
      } else if (which === "down" && mine.newer !== null && !following) await grow(mine);
    } catch {
      describe();
    } finally {
      pulling = false;
    }
  }

  function setFollowing(wanted) {
    if (following === wanted) return;
    following = wanted;
    follow.setAttribute("aria-pressed", String(following));
  }

  let lastTop = 0;
  function scrolled() {
    const { scrollTop } = list.element;
    if (scrollTop < lastTop - 2 && !list.atEnd) setFollowing(false);
    else if (list.atEnd && lines?.newer === null && scrollTop > lastTop) setFollowing(true);
    lastTop = scrollTop;
  }

  function toggleFollow() {
    setFollowing(!following);
    if (!following) return;
    if (query().get("line") || lines.newer !== null) {
      setQuery({ line: "" });
      list.marked = null;
      restart();
    } else list.toEnd();
  }

  function link(line) {
    setQuery({ line: line.cursor });
    setFollowing(false);
    list.marked = line.cursor;
    list.clear();
    list.draw();
    navigator.clipboard?.writeText(location.href).then(() => toast("Link to this line copied."), () => {});
  }

  async function firstError() {
    error.disabled = true;
    const found = await lines.find(ERRORS).catch(() => null);
    error.disabled = false;
    if (closed) return;
    if (found === null) {
      toast("No line looks like an error.");
      return;
    }
    setQuery({ line: found });
    setFollowing(false);
    restart();
  }

  async function toStart() {
    setFollowing(false);
    setQuery({ line: "" });
    await lines.head().catch(() => {});
    if (closed) return;
    list.clear();
    list.set(lines.lines);
    list.toStart();
    describe();
  }

  async function drawDownloads() {
    if (!downloads.open) return;
    const runs = await get(`/tasks/${context.id}/runs`).catch(() => []);
    const items = [...runs].reverse().slice(0, 24).flatMap((run) => ["STDOUT", "STDERR"].map((one) =>
      h("li", null, h("a", { href: address(`/tasks/${context.id}/logs/download`, { stream: one, attempt: run.attempt, rank: String(run.rank) }), download: true }, `attempt ${run.attempt} · rank ${run.rank} · ${one.toLowerCase()}`))));
    downloads.lastChild.replaceChildren(...(items.length ? items : [h("li", { class: "muted" }, "Nothing yet")]));
  }

  function choices(select, value, numbers, all, label) {
    select.hidden = !numbers.length;
    if (select.length !== numbers.length + 1) {
      select.replaceChildren(h("option", { value: "" }, all), ...numbers.map((number) => h("option", { value: number }, `${label} ${number}`)));
    }
    select.value = value;
  }

  function filterBy(changes) {
    setQuery({ ...changes, line: "" });
    setFollowing(true);
    restart();
  }

  text.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => filterBy({ text: text.value }), TYPING_MS);
  });
  regex.addEventListener("click", () => filterBy({ regex: query().get("regex") === "1" ? "" : "1" }));
  stream.addEventListener("change", () => filterBy({ stream: stream.value }));
  attempt.addEventListener("change", () => filterBy({ attempt: attempt.value }));
  rank.addEventListener("change", () => filterBy({ rank: rank.value }));
  follow.addEventListener("click", toggleFollow);
  error.addEventListener("click", firstError);
  start.addEventListener("click", toStart);
  downloads.addEventListener("toggle", drawDownloads);

  const stops = [onKey("f", toggleFollow), context.onEvents(() => lines && schedule(SOON_MS)), context.onTask(drawControls)];
  restart();
  return {
    close() {
      closed = true;
      clearTimeout(timer);
      clearTimeout(typing);
      lines?.close();
      list.close();
      stops.forEach((stop) => stop());
    },
  };
}
