// Making and patching elements. Text is always text: nothing here parses HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.setAttribute("class", value);
    else if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function h(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

export function svg(tag, properties, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

/** A symbol of the shared drawing. */
export function icon(id, properties = {}) {
  const sheet = document.documentElement.dataset.assets;
  const hidden = properties["aria-label"] ? { role: "img" } : { "aria-hidden": "true" };
  return svg("svg", { class: "icon", ...hidden, ...properties }, svg("use", { href: `${sheet}/img/signals.svg#${id}` }));
}

/** Set text only if it differs: untouched nodes cost no layout and keep a selection alive. */
export function setText(element, text) {
  const wanted = String(text ?? "");
  if (element.textContent !== wanted) element.textContent = wanted;
}

export function setAttribute(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** Replace what `parent` holds, only if `key` says that it changed. */
export function keep(parent, key, make) {
  const text = typeof key === "string" ? key : JSON.stringify(key);
  if (parent.kept === text) return;
  parent.kept = text;
  parent.replaceChildren(...[make()].flat(9).filter(Boolean));
}
