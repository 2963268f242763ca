// The graph of a workflow on a canvas. Only what is in sight is drawn, so its size does not matter.

import { h } from "../dom.js";
import { Board, NAMES, SIGNS, colours } from "./paint.js";

const WIDE = 156;
const HIGH = 30;
const APART_X = 64;
const APART_Y = 12;
const MOST_EDGES = 4000; // more of them in sight are a grey blur that takes long to draw
const NAMED = 0.45; // from this scale on names can be read
const READ = 0.8; // what is sought is shown at this scale at least
const LEAST = 0.01;
const MOST = 2;
const CLICK = 4;

export class Graph {
  /** `onSelect(name)`. */
  constructor(onSelect) {
    this.canvas = h("canvas", { tabindex: "0", role: "application", "aria-label": "Graph of the stages. Arrow keys move along it, Enter shows a stage." });
    this.note = h("p", { class: "muted flow-note", "aria-live": "polite" });
    const button = (label, text, act) => h("button", { type: "button", "aria-label": label, title: label, onclick: act }, text);
    this.element = h("div", { class: "flow-graph" }, this.canvas,
      h("div", { class: "flow-tools" }, button("Closer", "+", () => this.zoom(1.5)), button("Further", "−", () => this.zoom(1 / 1.5)), button("All of it", "⤢", () => this.fit())),
      this.note);
    this.onSelect = onSelect;
    this.board = new Board(this.canvas, (context, width, height) => this.draw(context, width, height));
    this.stages = [];
    this.letters = "";
    this.selected = -1;
    this.scale = 1;
    this.x = this.y = 0;
    this.unfitted = true;
    this.listen();
  }

  show(graph) {
    this.stages = graph.stages;
    this.layer = graph.layer;
    this.place = graph.place;
    this.edges = graph.edges;
    this.columns = [];
    graph.layer.forEach((layer, at) => (this.columns[layer] ??= []).push(at));
    for (const column of this.columns) column.sort((a, b) => this.place[a] - this.place[b]);
    this.number = new Map(graph.stages.map((name, at) => [name, at]));
    this.before = graph.stages.map(() => []);
    this.behind = graph.stages.map(() => []);
    for (let at = 0; at < graph.edges.length; at += 2) {
      this.behind[graph.edges[at]].push(graph.edges[at + 1]);
      this.before[graph.edges[at + 1]].push(graph.edges[at]);
    }
    const tallest = Math.max(...this.columns.map((column) => column.length));
    this.canvas.style.height = `clamp(170px, ${tallest * (HIGH + APART_Y) + 90}px, max(300px, 54vh))`;
    this.unfitted = true;
    this.board.again();
  }

  /** A letter for each stage. */
  colour(letters) {
    if (letters === this.letters) return;
    this.letters = letters;
    this.board.again();
  }

  select(name, reveal = false) {
    this.selected = this.number?.get(name) ?? -1;
    if (reveal && this.selected >= 0) {
      const { clientWidth: width, clientHeight: height } = this.canvas;
      this.scale = Math.max(this.scale, READ);
      this.x = width / 2 / this.scale - this.left(this.selected) - WIDE / 2;
      this.y = height / 2 / this.scale - this.top(this.selected) - HIGH / 2;
      this.unfitted = false;
    }
    this.board.again();
  }

  close() {
    this.board.close();
  }

  left(at) {
    return this.layer[at] * (WIDE + APART_X);
  }

  top(at) {
    return this.place[at] * (HIGH + APART_Y);
  }

  fit() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const wide = this.columns.length * (WIDE + APART_X) - APART_X;
    const high = Math.max(...this.columns.map((column) => this.top(column.at(-1)) + HIGH));
    const low = Math.min(...this.columns.map((column) => this.top(column[0])));
    this.scale = Math.min(Math.max(Math.min((width - 24) / wide, (height - 24) / (high - low)), LEAST), 1);
    this.x = (width / this.scale - wide) / 2;
    this.y = (height / this.scale - (high - low)) / 2 - low;
    this.unfitted = false;
    this.board.again();
  }

  zoom(factor, atX = this.canvas.clientWidth / 2, atY = this.canvas.clientHeight / 2) {
    const scale = Math.min(Math.max(this.scale * factor, LEAST), MOST);
    this.x += atX / scale - atX / this.scale;
    this.y += atY / scale - atY / this.scale;
    this.scale = scale;
    this.board.again();
  }

  /** The first of a sorted column at or below a height. */
  firstBelow(column, y) {
    let low = 0;
    let high = column.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.top(column[middle]) + HIGH < y) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  draw(context, width, height) {
    if (!this.stages.length) return;
    if (this.unfitted) this.fit();
    const tones = colours();
    const { x, y, scale } = this;
    const leftEdge = -x;
    const topEdge = -y;
    const rightEdge = width / scale - x;
    const bottomEdge = height / scale - y;
    context.scale(scale, scale);
    context.translate(x, y);
    this.drawEdges(context, tones, leftEdge, topEdge, rightEdge, bottomEdge);
    const first = Math.max(Math.floor((leftEdge - WIDE) / (WIDE + APART_X)), 0);
    const last = Math.min(Math.ceil(rightEdge / (WIDE + APART_X)), this.columns.length - 1);
    const named = scale >= NAMED;
    context.font = '500 13px Inter, "DejaVu Sans", sans-serif';
    context.textBaseline = "middle";
    for (let layer = first; layer <= last; layer++) {
      const column = this.columns[layer];
      for (let at = this.firstBelow(column, topEdge); at < column.length && this.top(column[at]) <= bottomEdge; at++) this.drawStage(context, tones, column[at], named);
    }
  }

  drawEdges(context, tones, left, top, right, bottom) {
    const seen = [];
    for (let at = 0; at < this.edges.length && seen.length <= MOST_EDGES; at += 2) {
      const from = this.edges[at];
      const to = this.edges[at + 1];
      const x1 = this.left(from) + WIDE;
      const x2 = this.left(to);
      const y1 = this.top(from) + HIGH / 2;
      const y2 = this.top(to) + HIGH / 2;
      if (x1 > right || x2 < left || Math.min(y1, y2) > bottom || Math.max(y1, y2) < top) continue;
      seen.push([x1, y1, x2, y2]);
    }
    const blurred = seen.length > MOST_EDGES;
    this.note.textContent = blurred ? "Too many lines to draw: they appear when you come closer." : "";
    const line = (x1, y1, x2, y2) => {
      const bend = Math.max((x2 - x1) / 2, APART_X / 2);
      context.moveTo(x1, y1);
      context.bezierCurveTo(x1 + bend, y1, x2 - bend, y2, x2, y2);
    };
    if (!blurred) {
      context.beginPath();
      context.strokeStyle = tones.line;
      context.lineWidth = Math.min(1.2 / this.scale, 3);
      for (const edge of seen) line(...edge);
      context.stroke();
    }
    if (this.selected < 0) return;
    context.beginPath();
    context.strokeStyle = tones.accent;
    context.lineWidth = Math.min(2 / this.scale, 6);
    const at = this.selected;
    for (const from of this.before[at].slice(0, 500)) line(this.left(from) + WIDE, this.top(from) + HIGH / 2, this.left(at), this.top(at) + HIGH / 2);
    for (const to of this.behind[at].slice(0, 500)) line(this.left(at) + WIDE, this.top(at) + HIGH / 2, this.left(to), this.top(to) + HIGH / 2);
    context.stroke();
  }

  drawStage(context, tones, at, named) {
    const x = this.left(at);
    const y = this.top(at);
    const letter = this.letters[at] ?? ".";
    if (!named) {
      context.fillStyle = tones[letter];
      context.fillRect(x, y, WIDE, HIGH);
    } else {
      context.beginPath();
      context.roundRect(x, y, WIDE, HIGH, 5);
      context.fillStyle = tones.panel;
      context.fill();
      context.strokeStyle = tones[letter];
      context.lineWidth = 1.5;
      context.stroke();
      context.fillStyle = tones[letter];
      context.fillRect(x, y + 3, 4, HIGH - 6);
      context.fillText(SIGNS[letter], x + 10, y + HIGH / 2 + 0.5);
      context.fillStyle = letter === "." || letter === "x" ? tones.muted : tones.ink;
      context.fillText(this.short(context, this.stages[at]), x + 26, y + HIGH / 2 + 0.5);
    }
    if (at === this.selected) {
      context.beginPath();
      context.roundRect(x - 3, y - 3, WIDE + 6, HIGH + 6, 7);
      context.strokeStyle = tones.accent;
      context.lineWidth = Math.max(2, 2 / this.scale);
      context.stroke();
    }
  }

  /** A name cut to the box, measured once. */
  short(context, name) {
    this.cut ??= new Map();
    let text = this.cut.get(name);
    if (text === undefined) {
      text = name;
      while (text.length > 3 && context.measureText(text).width > WIDE - 34) text = text.slice(0, text.endsWith("…") ? -2 : -1) + "…";
      this.cut.set(name, text);
    }
    return text;
  }

  at(clientX, clientY) {
    const box = this.canvas.getBoundingClientRect();
    const x = (clientX - box.left) / this.scale - this.x;
    const y = (clientY - box.top) / this.scale - this.y;
    const column = this.columns?.[Math.floor(x / (WIDE + APART_X))];
    if (!column || x % (WIDE + APART_X) > WIDE) return -1;
    const found = column[this.firstBelow(column, y)];
    return found !== undefined && this.top(found) <= y ? found : -1;
  }

  choose(at) {
    if (at < 0) return;
    this.select(this.stages[at]);
    this.canvas.setAttribute("aria-description", `${this.stages[at]}: ${(NAMES[this.letters[at]] ?? "").toLowerCase()}`);
    this.onSelect(this.stages[at]);
  }

  listen() {
    let held = null;
    this.canvas.addEventListener("pointerdown", (event) => {
      held = { x: event.clientX, y: event.clientY, moved: 0 };
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!held) {
        this.canvas.style.cursor = this.at(event.clientX, event.clientY) >= 0 ? "pointer" : "grab";
        return;
      }
      const [x, y] = [event.clientX - held.x, event.clientY - held.y];
      Object.assign(held, { x: event.clientX, y: event.clientY, moved: held.moved + Math.abs(x) + Math.abs(y) });
      this.x += x / this.scale;
      this.y += y / this.scale;
      this.board.again();
    });
    this.canvas.addEventListener("pointerup", (event) => {
      if (held && held.moved < CLICK) this.choose(this.at(event.clientX, event.clientY));
      held = null;
    });
    this.canvas.addEventListener("pointercancel", () => (held = null));
    this.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      const box = this.canvas.getBoundingClientRect();
      this.zoom(Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
    }, { passive: false });
    this.canvas.addEventListener("keydown", (event) => {
      const next = this.neighbour(event.key);
      if (next === undefined) return;
      event.preventDefault();
      this.choose(next);
      this.select(this.stages[next], true);
    });
  }

  neighbour(key) {
    if (!this.stages.length || !["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"].includes(key)) return undefined;
    if (this.selected < 0) return this.columns[0][0];
    if (key === "ArrowLeft") return this.before[this.selected][0];
    if (key === "ArrowRight") return this.behind[this.selected][0];
    const column = this.columns[this.layer[this.selected]];
    return column[column.indexOf(this.selected) + (key === "ArrowUp" ? -1 : 1)];
  }
}
