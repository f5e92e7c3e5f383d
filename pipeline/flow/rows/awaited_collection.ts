/** A collection whose records are in the log before the metadata has it. */
import { type CollectionLookup, isoOfHybrid } from "../../model/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import { pause } from "../../pause.ts";

/** Once the source has made it; undefined for one that is gone. */
export function awaitedCollection(
  { meta, report, waits }: Pick<FlowDependencies, "meta" | "report" | "waits">,
  id: bigint,
  signal: AbortSignal,
): Promise<Extract<CollectionLookup, { state: "live" }> | undefined> {
  const waiter = { component: "sources.meta", collection: `collection ${id}`, aside: true };
  return waits.during(waiter, "The log has records of it, and the source has not finished making it", async () => {
    for (;;) {
      const found = await meta.lookup(id, signal);
      if (found.state === "live") return found;
      if (found.state === "unknown" && found.droppedAt !== undefined) {
        report.warn(
          `unseen ${id}`,
          `Collection ${id}, which was dropped at ${
            isoOfHybrid(found.droppedAt)
          }, is not restored: no run that wrote the ` +
            "backup saw it while it was there, so that its records are in the log, but not its name and its columns",
        );
      }
      if (found.state !== "creating") return undefined;
      await pause(100, signal);
    }
  });
}
