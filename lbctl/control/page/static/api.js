// The API: ask lbctld, with the token of whoever sits here.

const KEPT = "lbctl-token";
const PATIENCE = 10_000; // milliseconds for an answer

/** lbctld answered, and said no; *status* is HTTP's. */
export class Refusal extends Error {
  constructor(text, status) {
    super(text);
    this.status = status;
  }
}

/** Nobody answered. */
export class Silence extends Error {}

export const token = {
  get: () => sessionStorage.getItem(KEPT),
  keep: (text) => sessionStorage.setItem(KEPT, text),
  forget: () => sessionStorage.removeItem(KEPT),
};

/** Read; *query* without what is empty.  Throws Refusal or Silence, or AbortError by *signal*. */
export function get(path, query = {}, { signal, patience = PATIENCE } = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== null);
  const words = new URLSearchParams(given).toString();
  return ask("GET", words ? `${path}?${words}` : path, undefined, signal, patience);
}

/** Change something, in the name of the page. */
export const post = (path, body) => ask("POST", path, body, undefined, 6 * PATIENCE);

async function ask(method, path, body, signal, patience) {
  const headers = { Authorization: `Bearer ${token.get() ?? ""}`, "X-Lbctl-Who": "page" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const limit = AbortSignal.timeout(patience);
  const request = {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
    credentials: "omit",
    cache: "no-store",
    redirect: "error",
  };
  let answer, found;
  try {
    answer = await fetch(path, request);
    found = await answer.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Silence(`no answer to ${method} ${path}`);
  }
  if (!answer.ok) throw new Refusal(found.error ?? answer.statusText, answer.status);
  return found;
}
