// Runs against stages, a cell each: what fails again and again shows as a line. Only the rows in sight are drawn.

import { h } from "../dom.js";
import { Board, NAMES, SIGNS, colours } from "./paint.js";

const ROW = 20;
const HEAD = 26;
const CELL = 22;
const LABEL = 0.45; // share of the width that names may take at most
const LETTER = 7; // width of one on average

export class Grid {
  /** `onOpen(run, stage)`; stage null for the head of a column. */
  constructor(onOpen) {
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.spacer = h("div", { class: "flow-grid-rows" }, this.canvas);
    this.element = h("div", { class: "flow-grid", tabindex: "0", role: "img", "aria-label": "The latest runs, oldest first, against the stages" }, this.spacer);
    this.tip = h("p", { class: "muted flow-note" }, "Each column is a run, the latest at the right.");
    this.board = new Board(this.canvas, (context, width, height) => this.draw(context, width, height));
    this.element.addEventListener("scroll", () => this.board.again(), { passive: true });
    this.onOpen = onOpen;
    this.grid = { stages: [], runs: [] };
    this.longest = 4;
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("click", (event) => {
      const { run, stage } = this.under(event);
      if (run) this.onOpen(run, stage);
    });
  }

  show(grid) {
    this.grid = grid;
    this.longest = Math.max(...grid.stages.map((name) => name.length), 4);
    this.spacer.style.height = `${HEAD + grid.stages.length * ROW}px`;
    this.board.again();
  }

  close() {
    this.board.close();
  }

  columns(width) {
    const label = Math.min(this.longest * LETTER + 16, width * LABEL);
    const shown = Math.min(Math.floor((width - label) / CELL), this.grid.runs.length);
    return { label, runs: this.grid.runs.slice(this.grid.runs.length - shown) };
  }

  under(event) {
    const box = this.canvas.getBoundingClientRect();
    const { label, runs } = this.columns(box.width);
    const run = runs[Math.floor((event.clientX - box.left - label) / CELL)];
    const y = event.clientY - box.top;
    const stage = y < HEAD ? null : this.grid.stages[Math.floor((y - HEAD + this.element.scrollTop) / ROW)];
    return { run: event.clientX - box.left < label ? undefined : run, stage: stage ?? null, row: stage };
  }

  hover(event) {
    const { run, stage, row } = this.under(event);
    this.canvas.style.cursor = run ? "pointer" : "default";
    const at = row ? this.grid.stages.indexOf(row) : -1;
    const state = run && at >= 0 ? (NAMES[run.letters[at]] ?? "not in this version").toLowerCase() : "";
    this.tip.textContent = run ? `${run.id}, version ${run.version}${stage ? `, ${stage}: ${state}` : `: ${run.state.toLowerCase()}`}` : (row ?? "");
  }

  draw(context, width, height) {
    const tones = colours();
    const { label, runs } = this.columns(width);
    const top = this.element.scrollTop;
    const first = Math.floor(top / ROW);
    const last = Math.min(first + Math.ceil(height / ROW) + 1, this.grid.stages.length);
    context.textBaseline = "middle";
    context.font = '12px Inter, "DejaVu Sans", sans-serif';
    for (let at = first; at < last; at++) {
      const y = HEAD + at * ROW - top;
      context.fillStyle = tones.ink;
      context.save();
      context.beginPath();
      context.rect(0, y, label - 8, ROW);
      context.clip();
      context.fillText(this.grid.stages[at], 2, y + ROW / 2);
      context.restore();
      context.textAlign = "center";
      runs.forEach((run, column) => {
        const letter = run.letters[at] ?? " ";
        const x = label + column * CELL;
        context.fillStyle = tones[letter];
        context.globalAlpha = letter === "." || letter === "x" ? 0.45 : 1;
        context.fillRect(x + 1, y + 1, CELL - 3, ROW - 3);
        context.globalAlpha = 1;
        context.fillStyle = tones.panel;
        context.fillText(SIGNS[letter], x + CELL / 2 - 0.5, y + ROW / 2);
      });
      context.textAlign = "left";
    }
    context.clearRect(0, 0, width, HEAD);
    runs.forEach((run, column) => {
      const letter = { SUCCEEDED: "s", FAILED: "f", CANCELLED: "c" }[run.state] ?? "r";
      context.beginPath();
      context.arc(label + column * CELL + CELL / 2 - 0.5, HEAD / 2, 6, 0, 7);
      context.fillStyle = tones[letter];
      context.fill();
    });
  }
}
