/** The token is kept for this tab only, and never in a cookie. */
const KEY = "tidemark-token";

export class Problem extends Error {
  /** @param {number} status @param {{ title?: string, hint?: string, code?: string }} body */
  constructor(status, body) {
    super([body.title ?? `Status ${status}`, body.hint].filter(Boolean).join(". "));
    this.status = status;
    this.code = body.code ?? "";
  }
}

export function setToken(token) {
  sessionStorage.setItem(KEY, token);
}

/** Throws a Problem for an answer that says no, and whatever `fetch` throws where there is none. */
export async function ask(path, { method = "GET", body } = {}) {
  const token = sessionStorage.getItem(KEY);
  const response = await fetch(path, {
    method,
    cache: "no-store",
    signal: AbortSignal.timeout(15_000),
    headers: {
      ...(token ? { authorization: `Bearer ${token}` } : {}),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  let json = {};
  try {
    json = text === "" ? {} : JSON.parse(text);
  } catch {
    json = { title: text.slice(0, 200) };
  }
  if (!response.ok) throw new Problem(response.status, json);
  return json;
}

export function taskPath(name, rest = "") {
  return `/api/v1/tasks/${encodeURIComponent(name)}${rest}`;
}
