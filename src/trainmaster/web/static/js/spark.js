// Sparklines: one path, no axes.

import { svg } from "./dom.js";

/** `values` oldest first. `low` and `high` fix the scale; left out, the values do. */
export function spark(values, { width = 72, height = 20, low, high, area = false, label = "" } = {}) {
  const known = values.filter(Number.isFinite);
  const drawing = svg("svg", { class: "spark", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  if (known.length < 2) return drawing;
  const least = low ?? Math.min(...known);
  const most = high ?? Math.max(...known);
  const span = most - least || 1;
  const points = known.map((value, at) => {
    const x = (at / (known.length - 1)) * width;
    const y = height - 1 - ((Math.min(Math.max(value, least), most) - least) / span) * (height - 2);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  if (area) drawing.append(svg("path", { class: "area", d: `M0 ${height}L${points.join("L")}L${width} ${height}Z` }));
  drawing.append(svg("path", { d: `M${points.join("L")}` }));
  return drawing;
}

/** At most `most` of the values, evenly picked, the last one included. */
export function thin(values, most = 60) {
  if (values.length <= most) return values;
  const step = (values.length - 1) / (most - 1);
  return Array.from({ length: most }, (_, at) => values[Math.round(at * step)]);
}
