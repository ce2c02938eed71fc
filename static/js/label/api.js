import { csrfToken } from "../csrf.js";
import { SAY } from "./words.js";

// The server could not be reached, or is not able to answer now: the same request may succeed later.
export class Unreachable extends Error {}

// The server understood and refused: status and detail come from its problem document.
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || SAY.answered(status));
    this.status = status;
    this.errors = problem.errors ?? null;
  }
}

const TEMPORARY = new Set([408, 425, 429, 500, 502, 503, 504]);
const NO_ID = "00000000-0000-0000-0000-000000000000";
const TIMEOUT_MS = 20000;

export function assignmentUrl(template, id, action = "") {
  return template.replace(NO_ID, id) + (action ? `${action}/` : "");
}

export async function send(url, { method = "POST", body, keepalive = false } = {}) {
  let response;
  try {
    response = await fetch(url, {
      method,
      keepalive,
      credentials: "same-origin",
      headers: { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": csrfToken() },
      body: method === "GET" ? undefined : JSON.stringify(body ?? {}),
      signal: keepalive ? undefined : AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (error) {
    throw new Unreachable(error.message);
  }
  return answerOf(response);
}

async function answerOf(response) {
  if (TEMPORARY.has(response.status)) throw new Unreachable(`the server answered ${response.status}`);
  const isJson = (response.headers.get("Content-Type") ?? "").includes("json");
  const data = isJson ? await response.json().catch(() => ({})) : {};
  if (!response.ok) throw new Refused(response.status, data);
  return data;
}

// randomUUID exists on https and localhost only; people also label over plain http inside a company.
export function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
