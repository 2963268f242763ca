// ANSI colours as text spans. Only colours and weight are understood; every other control is dropped.
// Text goes in as text: a log can show markup, never be it.

const NAMES = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
// CSI sequences, OSC sequences (titles, links), other escapes, and bare control characters except the tab.
const CONTROL = /\x1b\[([0-9;:<=>?]*)[ -/]*([@-~]?)|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-Z\\-_]?|[\x00-\x08\x0b-\x1f\x7f]/g;

function cube(number) {
  if (number < 16) return null;
  if (number >= 232) {
    const grey = 8 + (number - 232) * 10;
    return `rgb(${grey} ${grey} ${grey})`;
  }
  const at = number - 16;
  const level = (step) => (step ? 55 + step * 40 : 0);
  return `rgb(${level(Math.floor(at / 36))} ${level(Math.floor(at / 6) % 6)} ${level(at % 6)})`;
}

function extended(codes, at) {
  if (codes[at] === 5) return { named: codes[at + 1] < 16 ? NAMES[codes[at + 1] % 8] : null, colour: cube(codes[at + 1]), used: 2 };
  if (codes[at] === 2) return { named: null, colour: `rgb(${codes.slice(at + 1, at + 4).map((part) => part & 255).join(" ")})`, used: 4 };
  return { named: null, colour: null, used: 1 };
}

function apply(style, text) {
  const codes = text.split(/[;:]/).map(Number);
  let next = { ...style };
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at];
    if (code === 0) next = {};
    else if (code === 1) next.bold = true;
    else if (code === 2) next.dim = true;
    else if (code === 3) next.italic = true;
    else if (code === 4) next.underline = true;
    else if (code === 22) next.bold = next.dim = false;
    else if (code === 23) next.italic = false;
    else if (code === 24) next.underline = false;
    else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) [next.named, next.colour] = [NAMES[code % 10], null];
    else if (code === 38 || code === 48) {
      const { named, colour, used } = extended(codes, at + 1);
      at += used;
      // Backgrounds are read past: a log on a page keeps the page's.
      if (code === 38) [next.named, next.colour] = [named, colour];
    } else if (code === 39) [next.named, next.colour] = [null, null];
  }
  return next;
}

/** [{text, style}] of one line. A carriage return overwrites: what follows the last one is what was seen. */
export function parse(line) {
  const visible = line.includes("\r") ? (line.split("\r").findLast((part) => part) ?? "") : line;
  if (!/[\x00-\x08\x0b-\x1f\x7f]/.test(visible)) return [{ text: visible, style: null }];
  const parts = [];
  let style = null;
  let from = 0;
  for (const found of visible.matchAll(CONTROL)) {
    if (found.index > from) parts.push({ text: visible.slice(from, found.index), style });
    from = found.index + found[0].length;
    if (found[2] === "m") style = apply(style ?? {}, found[1]);
  }
  if (from < visible.length) parts.push({ text: visible.slice(from), style });
  return parts;
}

const plain = (style) => !style || !Object.values(style).some(Boolean);

/** Append the line to `element`, cut after `most` characters. Answers how many were left out. */
export function render(element, line, most) {
  let room = most;
  let left = 0;
  for (const { text, style } of parse(line)) {
    const shown = text.slice(0, room);
    left += text.length - shown.length;
    room -= shown.length;
    if (!shown) continue;
    if (plain(style)) {
      element.append(shown);
      continue;
    }
    const span = document.createElement("span");
    span.textContent = shown;
    span.className = ["bold", "dim", "italic", "underline"].filter((name) => style[name]).map((name) => `a-${name}`).join(" ");
    if (style.named) span.classList.add(`a-${style.named}`);
    if (style.colour) span.style.color = style.colour;
    element.append(span);
  }
  return left;
}
