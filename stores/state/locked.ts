/** The error of a run that finds the state held by another one, and the form of a holder in the store. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { LeaseHolder } from "../../pipeline/model/mod.ts";

/** `locked`, naming who holds it. */
export function lockedError(location: string, holder: LeaseHolder | undefined, hint: string): TidemarkError {
  const who = holder === undefined
    ? "another run"
    : `a run on ${holder.host} (process ${holder.pid}, since ${holder.since})`;
  return new TidemarkError("locked", `The state ${location} is held by ${who}`, { hint });
}

/** `locked`, for a holder that lost the lease while it ran. */
export function lostError(location: string, why: string): TidemarkError {
  return new TidemarkError("locked", `The lease on the state ${location} was lost: ${why}`, {
    hint:
      "Another run may have taken over; nothing was written after that. Check that only one run uses this state, and start again.",
  });
}

export function formatHolder(holder: LeaseHolder): string {
  return JSON.stringify({ host: holder.host, pid: holder.pid, since: holder.since }) + "\n";
}

/** Undefined where the text is no holder: a lock file is written after it is locked, so it may be empty for a moment. */
export function parseHolder(text: string): LeaseHolder | undefined {
  try {
    const raw = JSON.parse(text) as Record<string, unknown> | null;
    if (raw === null || typeof raw !== "object") return undefined;
    const { host, pid, since } = raw;
    return typeof host === "string" && typeof pid === "number" && typeof since === "string"
      ? { host, pid, since }
      : undefined;
  } catch {
    return undefined;
  }
}

/** This process as a holder. */
export function thisProcess(now: Date): LeaseHolder {
  let host = "unknown-host";
  try {
    host = Deno.hostname();
  } catch {
    // No right to ask: the process id is still worth naming.
  }
  return { host, pid: Deno.pid, since: now.toISOString() };
}
