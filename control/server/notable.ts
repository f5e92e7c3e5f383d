/** Turns of a status that somebody should know: blocked, recovered, too far behind, a backup's base made or failed. */
import type { RunStatus } from "../../pipeline/model/mod.ts";
import type { EventHub } from "./events.ts";
import { currentLagMs } from "./lag.ts";

export interface Notable {
  /** Told of each status after the other. */
  hear(status: RunStatus): void;
  /** Again and again while the run is wanted: one that says nothing any more falls behind, too. `now`: Unix ms. */
  look(now: number): void;
}

/** A base copy is behind by its nature. */
const COPYING: readonly RunStatus["phase"][] = ["starting", "snapshot", "base", "done"];

export function notable(events: Pick<EventHub, "emit">, task: string, lagThresholdMs: number): Notable {
  const blocked = new Set<string>();
  const held = new Set<string>();
  let late = false;
  let last: RunStatus | undefined;
  const bases = new Map<string, { goodAt: string; triedAt: string }>();

  function compareLag(lagMs: number): void {
    if (!late && lagMs > lagThresholdMs) {
      late = true;
      const text = `${Math.round(lagMs / 1000)} s behind, more than ${lagThresholdMs / 1000} s`;
      events.emit("task.lag", task, text);
    } else if (late && lagMs < lagThresholdMs / 2) {
      late = false;
      events.emit("task.recovered", task, "The lag is below its threshold again");
    }
  }

  return {
    hear(status) {
      last = status;
      for (const { db, name, phase, blockedReason } of status.collections) {
        const collection = `${db}.${name}`;
        if (phase === "blocked" && !blocked.has(collection)) {
          blocked.add(collection);
          events.emit("task.blocked", task, `${collection} is blocked: ${blockedReason ?? "it is held"}`);
        } else if (phase !== "blocked" && blocked.delete(collection)) {
          events.emit("task.recovered", task, `${collection} goes on`);
        }
      }
      for (const { name, state, reason } of status.sinks) {
        if (state === "held" && !held.has(name)) {
          held.add(name);
          events.emit("task.blocked", task, `The backup ${name} is held: ${reason}`);
        } else if (state !== "held" && held.delete(name)) {
          events.emit("task.recovered", task, `The backup ${name} goes on`);
        }
      }
      if (!COPYING.includes(status.phase)) compareLag(status.lagMs);
      for (const { sink, goodAt, triedAt, failures, error } of status.bases) {
        const known = bases.get(sink);
        bases.set(sink, { goodAt, triedAt });
        // Of one that is seen for the first time: what was before this run was told then.
        const isNew = (at: string, before: string | undefined) =>
          before === undefined ? Date.parse(at) >= Date.parse(status.startedAt) : at !== before;
        if (isNew(goodAt, known?.goodAt)) {
          events.emit("backup.done", task, `${sink}: a base was completed at ${goodAt}`);
        } else if (isNew(triedAt, known?.triedAt) && failures > 0) {
          events.emit("backup.failed", task, `${sink}: ${error}`);
        }
      }
    },
    look(now) {
      if (last !== undefined && !COPYING.includes(last.phase)) compareLag(currentLagMs(last, now));
    },
  };
}
