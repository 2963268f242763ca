// One metric drawn by uPlot: a line per worker and attempt, a mark where each attempt begins.

import { h } from "../dom.js";
import { metric, moment, ticks } from "../format.js";
import { cssColour } from "../theme.js";
import { now } from "../time.js";

const HEIGHT = 210;
const COLOURS = ["succeeded", "failed", "running", "waiting", "interrupted", "lost", "accent", "cancelled"];
const MOST_LINES = 16;

let loading = null;

/** uPlot comes as a plain script that leaves a global; it is loaded when the first chart is drawn. */
export function library() {
  loading ??= new Promise((resolve, reject) => {
    const script = h("script", { src: `${document.documentElement.dataset.assets}/vendor/uPlot.iife.min.js` });
    script.addEventListener("load", () => resolve(window.uPlot));
    script.addEventListener("error", reject);
    document.head.append(script);
  });
  return loading;
}

/** Columns for uPlot: all x in order, and per line its values or null. */
function aligned(reports, name, axis) {
  const lines = new Map();
  for (const report of reports) {
    if (!(name in report.values)) continue;
    const key = `${report.attempt}.${report.rank}`;
    if (!lines.has(key)) lines.set(key, { attempt: report.attempt, rank: report.rank, points: new Map() });
    lines.get(key).points.set(axis === "time" ? report.time : report.step, report.values[name]);
  }
  const chosen = [...lines.values()].sort((a, b) => a.attempt - b.attempt || a.rank - b.rank).slice(-MOST_LINES);
  const xs = [...new Set(chosen.flatMap((line) => [...line.points.keys()]))].sort((a, b) => a - b);
  const starts = new Map();
  for (const line of chosen) {
    const begin = line.points.keys().next().value;
    starts.set(line.attempt, Math.min(starts.get(line.attempt) ?? Infinity, begin));
  }
  return { lines: chosen, starts, data: [xs, ...chosen.map((line) => xs.map((x) => line.points.get(x) ?? null))] };
}

export class Chart {
  constructor(name) {
    this.name = name;
    this.latest = h("span", { class: "muted" });
    this.canvas = h("div", { class: "chart-canvas" });
    this.element = h("figure", { class: "panel chart" }, h("figcaption", null, h("b", null, name), this.latest), this.canvas);
    this.plot = null;
    this.sizes = new ResizeObserver(() => this.plot?.setSize({ width: this.canvas.clientWidth, height: HEIGHT }));
    this.sizes.observe(this.canvas);
    this.restyle = () => {
      this.drop();
      if (this.last) this.show(...this.last);
    };
    document.addEventListener("theme", this.restyle);
  }

  async show(reports, axis) {
    this.last = [reports, axis];
    const uPlot = await library();
    if (this.closed) return;
    const { lines, starts, data } = aligned(reports, this.name, axis);
    this.starts = starts;
    const newest = reports.findLast((report) => this.name in report.values);
    this.latest.textContent = `now ${metric(newest.values[this.name])}`;
    const shape = `${axis} ${lines.map((line) => `${line.attempt}.${line.rank}`).join(" ")}`;
    if (this.plot && this.shape === shape) {
      this.plot.setData(data);
      return;
    }
    this.drop();
    this.shape = shape;
    this.plot = new uPlot(this.options(lines, axis), data, this.canvas);
  }

  options(lines, axis) {
    const ranks = new Set(lines.map((line) => line.rank)).size;
    const last = Math.max(...lines.map((line) => line.attempt));
    const ink = cssColour("muted");
    const axes = { stroke: ink, grid: { stroke: cssColour("line"), width: 1 }, ticks: { show: false }, font: `11px ${cssColour("font")}` };
    const series = lines.map((line, at) => ({
      label: ranks > 1 ? `#${line.attempt} rank ${line.rank}` : lines.length > 1 ? `attempt ${line.attempt}` : this.name,
      stroke: cssColour(COLOURS[(ranks > 1 ? line.rank : at) % COLOURS.length]),
      width: 1.6,
      dash: line.attempt === last ? undefined : [5, 4],
      alpha: line.attempt === last ? 1 : 0.7,
      spanGaps: true,
      points: { show: line.points.size < 3 },
      value: (_, value) => (value === null ? "–" : metric(value)),
    }));
    return {
      width: this.canvas.clientWidth || 400,
      height: HEIGHT,
      scales: { x: { time: axis === "time" } },
      axes: [{ ...axes, size: 28, ...(axis === "time" && { space: 70, values: (_, times, __, ___, step) => ticks(times, step) }) }, { ...axes, size: 52 }],
      series: [{ label: axis, ...(axis === "time" && { value: (_, time) => (time === null ? "–" : moment(time, now())) }) }, ...series],
      legend: { show: lines.length > 1, live: true },
      cursor: { drag: { x: true, y: false }, points: { size: 6 } },
      hooks: { draw: [(plot) => this.mark(plot)] },
    };
  }

  /** A dashed line where each attempt after the first begins. */
  mark(plot) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = cssColour("interrupted");
    ctx.setLineDash([4, 4]);
    ctx.textAlign = "left";
    ctx.textBaseline = "top";
    ctx.font = `${11 * devicePixelRatio}px ${cssColour("font")}`;
    for (const [attempt, begin] of [...this.starts].slice(1)) {
      const x = Math.round(plot.valToPos(begin, "x", true));
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.fillText(`#${attempt}`, x + 4 * devicePixelRatio, bbox.top + 2 * devicePixelRatio);
    }
    ctx.restore();
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
