/** Turns of a status that somebody should know: blocked, recovered, too far behind, a backup's base made or failed. */
import type { RunStatus } from "../../pipeline/model/mod.ts";
import type { EventHub } from "./events.ts";

/** Told of each status after the other. */
export function tellChanges(
  events: Pick<EventHub, "emit">,
  task: string,
  lagThresholdMs: number,
): (status: RunStatus, before: RunStatus | undefined) => void {
  const blocked = new Set<string>();
  let late = false;
  const bases = new Map<string, { goodAt: string; triedAt: string }>();
  return (status) => {
    for (const { db, name, phase, blockedReason } of status.collections) {
      const collection = `${db}.${name}`;
      if (phase === "blocked" && !blocked.has(collection)) {
        blocked.add(collection);
        events.emit("task.blocked", task, `${collection} is blocked: ${blockedReason ?? "it is held"}`);
      } else if (phase !== "blocked" && blocked.delete(collection)) {
        events.emit("task.recovered", task, `${collection} goes on`);
      }
    }
    if (!late && status.lagMs > lagThresholdMs) {
      late = true;
      events.emit(
        "task.lag",
        task,
        `${Math.round(status.lagMs / 1000)} s behind, more than ${lagThresholdMs / 1000} s`,
      );
    } else if (late && status.lagMs < lagThresholdMs / 2) {
      late = false;
      events.emit("task.recovered", task, "The lag is below its threshold again");
    }
    for (const { sink, goodAt, triedAt, failures, error } of status.bases) {
      const known = bases.get(sink);
      bases.set(sink, { goodAt, triedAt });
      if (known === undefined) continue;
      if (known.goodAt !== goodAt) events.emit("backup.done", task, `${sink}: a base was completed at ${goodAt}`);
      else if (known.triedAt !== triedAt && failures > 0) events.emit("backup.failed", task, `${sink}: ${error}`);
    }
  };
}
