/** How far behind a task is now, also where its process says nothing any more. */
import type { RunStatus } from "../../pipeline/model/mod.ts";

/** A status that is no older is as good as new. */
const FRESH_MS = 5_000;

/** Ms. What a process that has ended, is paused or stands still said last grows older with it. */
export function currentLagMs(status: Pick<RunStatus, "lagMs" | "at" | "phase">, now: number): number {
  const age = status.at === "" || status.phase === "done" ? 0 : now - Date.parse(status.at);
  return status.lagMs + (age > FRESH_MS ? age : 0);
}
