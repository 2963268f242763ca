// Draws the lines of a LogWindow that are in sight. Every line has one height; nothing wraps.

import { h } from "../dom.js";
import { absolute, clock } from "../format.js";
import { dialog } from "../keys.js";
import { render } from "./ansi.js";

const SPARE = 20;
const CUT = 1000; // characters of a line drawn; the rest is one click away
const BOTTOM = 4; // pixels from the end that still count as the end

export class LogList {
  /** `onLine(line)`: somebody wants to link to it. `onEdge("up" | "down")`: the view is near an end. */
  constructor({ onLine, onEdge, onScroll }) {
    this.handlers = { onLine, onEdge, onScroll };
    this.lines = [];
    this.marked = null;
    this.showRank = false;
    this.pool = new Map();
    this.space = h("div", { class: "log-space" });
    this.element = h("div", { class: "log", tabindex: "0", role: "log", "aria-label": "Log", "aria-live": "off" }, this.space);
    this.element.addEventListener("scroll", () => this.later(), { passive: true });
    this.sizes = new ResizeObserver(() => this.later());
    this.sizes.observe(this.element);
  }

  close() {
    this.sizes.disconnect();
    cancelAnimationFrame(this.frame);
  }

  get lineHeight() {
    return parseFloat(getComputedStyle(this.element).getPropertyValue("--line-height")) || 20;
  }

  get atEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.element;
    return scrollTop + clientHeight >= scrollHeight - BOTTOM;
  }

  /** `moved`: how many lines came (or, negative, went) above what was shown. */
  set(lines, moved = 0) {
    const top = this.element.scrollTop + moved * this.lineHeight;
    this.lines = lines;
    this.space.style.height = `${lines.length * this.lineHeight}px`;
    if (moved) this.element.scrollTop = top;
    this.draw();
  }

  toEnd() {
    this.element.scrollTop = this.element.scrollHeight;
    this.draw();
  }

  toStart() {
    this.element.scrollTop = 0;
    this.draw();
  }

  mark(cursor) {
    this.marked = cursor;
    const at = this.lines.findIndex((line) => line.cursor === cursor);
    if (at >= 0) this.element.scrollTop = at * this.lineHeight - this.element.clientHeight / 3;
    this.clear();
    this.draw();
  }

  clear() {
    for (const row of this.pool.values()) row.remove();
    this.pool.clear();
  }

  later() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => {
      this.draw();
      const { scrollTop, clientHeight } = this.element;
      const height = this.lineHeight;
      if (scrollTop < 4 * clientHeight) this.handlers.onEdge("up");
      if (scrollTop + clientHeight > this.lines.length * height - 4 * clientHeight) this.handlers.onEdge("down");
      this.handlers.onScroll();
    });
  }

  draw() {
    const height = this.lineHeight;
    const first = Math.max(Math.floor(this.element.scrollTop / height) - SPARE, 0);
    const last = Math.min(Math.ceil((this.element.scrollTop + this.element.clientHeight) / height) + SPARE, this.lines.length - 1);
    const wanted = new Map();
    for (let at = first; at <= last; at += 1) wanted.set(this.lines[at].cursor, at);
    for (const [cursor, row] of this.pool) {
      if (!wanted.has(cursor)) {
        row.remove();
        this.pool.delete(cursor);
      }
    }
    const fresh = document.createDocumentFragment();
    for (const [cursor, at] of wanted) {
      let row = this.pool.get(cursor);
      if (!row) {
        row = this.row(this.lines[at]);
        this.pool.set(cursor, row);
        fresh.append(row);
      }
      if (row.at !== at) {
        row.at = at;
        row.style.top = `${at * height}px`;
      }
    }
    this.space.append(fresh);
  }

  row(line) {
    const text = h("span", { class: "text" });
    const left = render(text, line.text, CUT);
    if (left) {
      text.append(h("button", { type: "button", class: "quiet rest", onclick: () => this.whole(line) }, `… ${left.toLocaleString("en")} more characters`));
    }
    const stamp = h("a", { class: "stamp", href: `?line=${line.cursor}`, title: `${absolute(line.time)} · attempt ${line.attempt} · rank ${line.rank} · ${line.stream}\nLink to this line`, tabindex: "-1" }, clock(line.time));
    stamp.addEventListener("click", (event) => {
      event.preventDefault();
      event.stopPropagation();
      this.handlers.onLine(line);
    });
    return h("div", { class: "line-row", "data-stream": line.stream, "data-marked": line.cursor === this.marked }, stamp,
      this.showRank && h("span", { class: "rank" }, line.rank), text);
  }

  whole(line) {
    const text = h("pre", { class: "whole" });
    render(text, line.text, Infinity);
    dialog(`Line of ${clock(line.time)}`, text);
  }
}
