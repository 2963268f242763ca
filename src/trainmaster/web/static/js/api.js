// The public HTTP interface. Every failure is a Problem with a sentence and a remedy.

// A service that hangs must look as unreachable as one that is gone. Changes may wait for a slow database.
const PATIENCE_MS = { GET: 10_000, other: 30_000 };

const watchers = new Set();

export class Problem extends Error {
  constructor(body) {
    super(body.detail);
    Object.assign(this, { status: body.status, code: body.code, remedy: body.remedy ?? "", fields: body.fields ?? {} });
  }
}

/** Told `true` after each answer and `false` when the service could not be reached. */
export function onReach(watcher) {
  watchers.add(watcher);
}

function reached(well) {
  for (const watcher of watchers) watcher(well);
}

function query(parameters) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters ?? {})) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "" && one !== false) search.append(name, one);
    }
  }
  const text = search.toString();
  return text ? `?${text}` : "";
}

export const address = (path, parameters) => `/v1${path}${query(parameters)}`;

async function ask(method, path, { parameters, body, signal, headers, patienceMs } = {}) {
  const patience = AbortSignal.timeout(patienceMs ?? PATIENCE_MS[method] ?? PATIENCE_MS.other);
  let response;
  try {
    response = await fetch(address(path, parameters), {
      method,
      signal: signal ? AbortSignal.any([signal, patience]) : patience,
      // JSON always, for the service refuses other changes that come with the cookie.
      headers: method === "GET" ? headers : { "Content-Type": "application/json", ...headers },
      body: method === "GET" ? undefined : JSON.stringify(body ?? {}),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    reached(false);
    throw new Problem({ status: 0, code: "unreachable", detail: "the service cannot be reached", remedy: "this page tries again by itself" });
  }
  reached(true);
  if (response.ok) return response.status === 204 ? null : response.json();
  if (response.status === 401) location.reload();
  const told = await response.json().catch(() => ({}));
  throw new Problem({ status: response.status, code: "http-error", detail: `the service answered ${response.status}`, ...told });
}

export const get = (path, parameters, options) => ask("GET", path, { parameters, ...options });
export const post = (path, body, options) => ask("POST", path, { body, ...options });
export const put = (path, body) => ask("PUT", path, { body });
