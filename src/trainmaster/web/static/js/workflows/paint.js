// Colours and signs of stages on a canvas, in the present theme; and a canvas that draws itself when it must.

export const NAMES = {
  ".": "WAITING", q: "READY", r: "RUNNING", s: "SUCCEEDED", f: "FAILED", x: "SKIPPED", c: "CANCELLED",
};
export const SIGNS = { ".": "", q: "…", r: "▶", s: "✓", f: "✕", x: "↷", c: "■", " ": "" };
const TONES = {
  ".": "--line-strong", q: "--waiting", r: "--running", s: "--succeeded", f: "--failed", x: "--faint", c: "--cancelled", " ": "--sunk",
};
const OTHERS = { ink: "--ink", muted: "--muted", panel: "--panel", line: "--line-strong", accent: "--accent", sunk: "--sunk" };

/** By letter, and by the names of OTHERS. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(Object.entries({ ...TONES, ...OTHERS }).map(([key, name]) => [key, style.getPropertyValue(name).trim()]));
}

/** Calls `draw(context, width, height)` in the next frame, whatever asks for it: size, theme, `again()`. */
export class Board {
  constructor(canvas, draw) {
    this.canvas = canvas;
    this.draw = draw;
    this.frame = 0;
    this.sizes = new ResizeObserver(() => this.again());
    this.sizes.observe(canvas);
    this.themes = new MutationObserver(() => this.again());
    this.themes.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.turned = () => this.again();
    this.scheme.addEventListener("change", this.turned);
  }

  again() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      const { clientWidth: width, clientHeight: height } = this.canvas;
      if (!width || !height) return;
      const scale = devicePixelRatio || 1;
      if (this.canvas.width !== Math.round(width * scale) || this.canvas.height !== Math.round(height * scale)) {
        this.canvas.width = Math.round(width * scale);
        this.canvas.height = Math.round(height * scale);
      }
      const context = this.canvas.getContext("2d");
      context.setTransform(scale, 0, 0, scale, 0, 0);
      context.clearRect(0, 0, width, height);
      this.draw(context, width, height);
    });
  }

  close() {
    cancelAnimationFrame(this.frame);
    this.sizes.disconnect();
    this.themes.disconnect();
    this.scheme.removeEventListener("change", this.turned);
  }
}
