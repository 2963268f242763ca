// Addresses and views. Everything a view shows is in its address, so that it can be sent to somebody.

const routes = [];
let current = null;
let outlet = null;

/** `open(outlet, parameters)` draws a view and returns what closes it. */
export function route(pattern, open) {
  const names = [];
  const source = pattern.replace(/\{(\w+)\}/g, (_, name) => {
    names.push(name);
    return "([^/]+)";
  });
  routes.push({ expression: new RegExp(`^${source}$`), names, open, pattern });
}

function match(path) {
  for (const candidate of routes) {
    const found = candidate.expression.exec(path);
    if (found) {
      const parameters = Object.fromEntries(candidate.names.map((name, at) => [name, decodeURIComponent(found[at + 1])]));
      return { ...candidate, parameters };
    }
  }
  return null;
}

function show() {
  const found = match(location.pathname) ?? match("/");
  current?.close?.();
  outlet.replaceChildren();
  outlet.scrollTop = 0;
  const section = `/${location.pathname.split("/")[1]}`;
  for (const link of document.querySelectorAll("[data-nav]")) {
    if (link.dataset.nav === section) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  current = found.open(outlet, found.parameters) ?? null;
}

/** Draw the present address anew: for when too much has happened to catch up with. */
export const reopen = () => show();

export function go(url) {
  if (url === location.pathname + location.search) return;
  history.pushState(null, "", url);
  show();
}

export const query = () => new URLSearchParams(location.search);

/** Change the address's filters without a new view; empty values leave it. */
export function setQuery(changes, { push = false } = {}) {
  const search = query();
  for (const [name, value] of Object.entries(changes)) {
    search.delete(name);
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "" && one !== false) search.append(name, one);
    }
  }
  const text = search.toString();
  const url = location.pathname + (text ? `?${text}` : "");
  if (url === location.pathname + location.search) return;
  history[push ? "pushState" : "replaceState"](null, "", url);
}

export function title(text) {
  document.title = text ? `${text} · Trainmaster` : "Trainmaster";
}

export function startRouter(element) {
  outlet = element;
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    if (link.origin !== location.origin || link.hasAttribute("download") || link.target || !match(link.pathname)) return;
    if (link.getAttribute("href").startsWith("#")) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
  addEventListener("popstate", show);
  show();
}
