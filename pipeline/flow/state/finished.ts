/** Whether a run is over for good. */
import type { RunState } from "./run_state.ts";

/** Whether the run reached its end with every collection. */
export function isFinished(state: RunState): boolean {
  const status = state.status as { phase?: string } | null;
  const all = [...state.sinks.values()].flatMap(({ collections }) => [...collections.values()]);
  return status?.phase === "done" &&
    all.every(({ blocked, refused, refusedRows, phase }) =>
      blocked === undefined && refused === "" && refusedRows.size === 0 && phase !== "base"
    );
}
