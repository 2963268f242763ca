// A table of which only the rows in sight exist. All rows have one height, so a place is an index.

import { h, setAttribute } from "../dom.js";
import { COLUMNS, makeRow, patchRow } from "./row.js";

const SPARE = 8;

export class TaskTable {
  /** `onOpen(task)`, `onSelect()`, `onScroll(first, last)` with the range of rows in sight. */
  constructor({ onOpen, onSelect, onScroll }) {
    this.rows = [];
    this.made = new Map();
    this.selected = new Set();
    this.activeId = null;
    this.handlers = { onOpen, onSelect, onScroll };
    this.above = h("tr", { "aria-hidden": "true", class: "spacer" }, h("td"));
    this.below = h("tr", { "aria-hidden": "true", class: "spacer" }, h("td"));
    this.body = h("tbody", null, this.above, this.below);
    this.all = h("input", { type: "checkbox", "aria-label": "Select all loaded tasks" });
    this.table = h("table", { class: "tasks" },
      h("caption", { class: "sr" }, "Tasks, newest first"),
      h("thead", null, h("tr", null, COLUMNS.map(([names, label]) => h("th", { class: names, scope: "col" }, names === "pick" ? this.all : label)))),
      this.body);
    this.element = h("div", { class: "task-scroll" }, this.table);
    this.element.addEventListener("scroll", () => this.later(), { passive: true });
    this.sizes = new ResizeObserver(() => this.later());
    this.sizes.observe(this.element);
    this.body.addEventListener("click", (event) => this.clicked(event));
    this.all.addEventListener("change", () => {
      this.selected = new Set(this.all.checked ? this.rows.map((row) => row.task.id) : []);
      this.changed();
    });
  }

  close() {
    this.sizes.disconnect();
  }

  /** Show these rows. What the person looks at stays where it is, even if rows above come or go. */
  set(rows) {
    const height = this.rowHeight();
    const top = this.element.scrollTop;
    const anchor = top > height ? this.rows[Math.floor(top / height)]?.task.id : null;
    const before = anchor ? Math.floor(top / height) : 0;
    this.rows = rows;
    this.index = new Map(rows.map((row, at) => [row.task.id, at]));
    for (const id of this.selected) if (!this.index.has(id)) this.selected.delete(id);
    setAttribute(this.table, "aria-rowcount", rows.length + 1);
    this.draw();
    const after = anchor ? this.index.get(anchor) : undefined;
    if (after !== undefined && after !== before) {
      this.element.scrollTop = top + (after - before) * height;
      this.draw();
    }
  }

  rowHeight() {
    return parseFloat(getComputedStyle(this.element).getPropertyValue("--row")) || 38;
  }

  later() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.draw();
    });
  }

  range() {
    const height = this.rowHeight();
    const first = Math.floor(this.element.scrollTop / height);
    return { height, first, last: Math.min(first + Math.ceil(this.element.clientHeight / height), this.rows.length - 1) };
  }

  draw() {
    const { height, first, last } = this.range();
    const from = Math.max(first - SPARE, 0);
    const to = Math.min(last + SPARE, this.rows.length - 1);
    const wanted = new Set();
    for (let at = from; at <= to; at += 1) wanted.add(this.rows[at].task.id);
    for (const [id, made] of this.made) {
      if (!wanted.has(id)) {
        made.row.remove();
        this.made.delete(id);
      }
    }
    let place = this.above.nextSibling;
    for (let at = from; at <= to; at += 1) {
      const { task } = this.rows[at];
      let made = this.made.get(task.id);
      if (!made) this.made.set(task.id, (made = makeRow(task.id)));
      patchRow(made, task, { selected: this.selected.has(task.id), active: task.id === this.activeId, index: at });
      if (made.row === place) place = place.nextSibling;
      else this.body.insertBefore(made.row, place);
    }
    this.above.firstChild.style.height = `${from * height}px`;
    this.below.firstChild.style.height = `${Math.max(this.rows.length - 1 - to, 0) * height}px`;
    this.handlers.onScroll(first, last);
  }

  clicked(event) {
    const row = event.target.closest("tr[data-id]");
    if (!row) return;
    const { id } = row.dataset;
    if (event.target.closest("td.pick")) {
      const wanted = event.target.matches("input") ? event.target.checked : !this.selected.has(id);
      if (event.shiftKey && this.lastPicked) this.pickBetween(this.lastPicked, id, wanted);
      else this.pick(id, wanted);
      this.lastPicked = id;
    } else if (!event.target.closest("a")) this.handlers.onOpen(row.task);
  }

  pick(id, wanted) {
    if (wanted) this.selected.add(id);
    else this.selected.delete(id);
    this.changed();
  }

  pickBetween(from, to, wanted) {
    const [low, high] = [this.index.get(from), this.index.get(to)].sort((a, b) => a - b);
    for (let at = low; at <= high; at += 1) {
      if (wanted) this.selected.add(this.rows[at].task.id);
      else this.selected.delete(this.rows[at].task.id);
    }
    this.changed();
  }

  changed() {
    this.all.checked = this.selected.size > 0 && this.selected.size === this.rows.length;
    this.all.indeterminate = this.selected.size > 0 && !this.all.checked;
    this.draw();
    this.handlers.onSelect();
  }

  /** The keyboard's row, by steps. */
  step(by) {
    if (!this.rows.length) return;
    const at = this.activeId === null ? -1 : (this.index.get(this.activeId) ?? -1);
    const next = Math.min(Math.max(at + by, 0), this.rows.length - 1);
    this.activeId = this.rows[next].task.id;
    const { height } = this.range();
    const head = this.table.tHead.offsetHeight;
    const top = next * height;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (top + height > this.element.scrollTop + this.element.clientHeight - head) {
      this.element.scrollTop = top + height - this.element.clientHeight + head;
    }
    this.draw();
  }

  get active() {
    return this.activeId === null ? null : (this.rows[this.index.get(this.activeId)]?.task ?? null);
  }
}
