// Lines over time drawn by uPlot, with a shaded band between two of them.

import { h } from "../dom.js";
import { moment, short, ticks } from "../format.js";
import { cssColour } from "../theme.js";
import { now } from "../time.js";
import { library } from "./chart.js";

const HEIGHT = 260;

/** `lines`: [{ label, colour, dash, stepped, faint }]; `band`: the labels of its upper and lower edge. */
export class Timeline {
  constructor(name, lines, { band = null, height = HEIGHT } = {}) {
    this.lines = lines;
    this.band = band;
    this.height = height;
    this.note = h("span", { class: "muted" });
    this.canvas = h("div", { class: "chart-canvas" });
    this.element = h("figure", { class: "panel chart", "aria-label": name }, h("figcaption", null, h("b", null, name), this.note), this.canvas);
    this.sizes = new ResizeObserver(() => this.plot?.setSize({ width: this.canvas.clientWidth, height: this.height }));
    this.sizes.observe(this.canvas);
    this.restyle = () => {
      this.drop();
      if (this.data) this.draw();
    };
    document.addEventListener("theme", this.restyle);
  }

  /** `values`: per line a Map of time to number. `lines`: if they are others than before. */
  async show(values, note, lines = this.lines) {
    this.note.textContent = note;
    if (lines.map((line) => line.label).join() !== this.lines.map((line) => line.label).join()) this.drop();
    this.lines = lines;
    const times = [...new Set(values.flatMap((line) => [...line.keys()]))].sort((a, b) => a - b);
    this.data = [times, ...values.map((line) => times.map((time) => line.get(time) ?? null))];
    this.library = await library();
    if (this.closed) return;
    if (this.plot) this.plot.setData(this.data);
    else this.draw();
  }

  draw() {
    const { paths } = this.library;
    const axes = { stroke: cssColour("muted"), grid: { stroke: cssColour("line"), width: 1 }, ticks: { show: false }, font: `11px ${cssColour("font")}` };
    const series = this.lines.map((line) => ({
      label: line.label,
      stroke: cssColour(line.colour),
      width: line.faint ? 0 : 1.6,
      dash: line.dash,
      paths: line.stepped ? paths.stepped({ align: 1 }) : undefined,
      points: { show: false },
      value: (_, value) => (value === null || value === undefined ? "–" : short(value)),
    }));
    const at = (label) => this.lines.findIndex((line) => line.label === label) + 1;
    const options = {
      width: this.canvas.clientWidth || 400,
      height: this.height,
      scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.05, 1)] } },
      axes: [{ ...axes, size: 28, space: 70, values: (_, times, __, ___, step) => ticks(times, step) }, { ...axes, size: 44 }],
      series: [{ label: "time", value: (_, time) => (time === null ? "–" : moment(time, now())) }, ...series],
      bands: this.band ? [{ series: this.band.map(at), fill: `${cssColour("accent")}2e` }] : [],
      cursor: { drag: { x: true, y: false }, points: { size: 6 } },
    };
    this.plot = new this.library(options, this.data, this.canvas);
  }

  drop() {
    this.plot?.destroy();
    this.plot = null;
  }

  close() {
    this.closed = true;
    this.sizes.disconnect();
    document.removeEventListener("theme", this.restyle);
    this.drop();
  }
}
