/**
 * A held archive in a run that goes on: it is opened again and again, as a new run would, and reads the log for itself from
 * where it stopped, so that no other sink waits for what it has to catch up on. It does so until the run ends.
 */
import { toTidemarkError } from "../../errors.ts";
import type { Snapshot } from "../../model/mod.ts";
import { rest } from "../../pause.ts";
import type { ArchiveRun } from "../archive/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import type { RunArchives } from "./archives.ts";

/** Of `limits.heldAgainMs`. */
const LONGEST = 12;

export interface ComebackOptions {
  readonly deps: Pick<FlowDependencies, "limits" | "waits" | "now" | "report">;
  readonly archives: RunArchives;
  readonly topicIds: ReadonlyMap<string, string>;
  /** The source as a run may begin with it. */
  readonly snapshot: (signal: AbortSignal) => Promise<Snapshot>;
  /** Makes what is missing of the base and follows the log for one alone, until it is held. */
  readonly alone: (archive: ArchiveRun, snapshot: Snapshot, topicIds: Map<string, string>) => Promise<void>;
  readonly reading: AbortSignal;
}

/** Until the signal fires; throws what ends the run. */
export async function bringBack(first: ArchiveRun, options: ComebackOptions): Promise<void> {
  const { deps: { limits: { heldAgainMs = 5000 }, waits, now, report }, archives, snapshot, alone, reading } = options;
  let archive = first;
  let againMs = heldAgainMs;
  try {
    while (archive.held !== undefined && !reading.aborted) {
      {
        const reason = `The backup is held: ${archive.held.message}`;
        using _wait = waits.begin({ component: `sinks.${archive.name}`, aside: true }, reason, now() + againMs);
        await rest(againMs, reading);
      }
      if (reading.aborted) return;
      const topicIds = new Map(options.topicIds);
      archive = await archives.renew(archive, topicIds);
      const begun = await archive.openAgain(() => snapshot(reading), reading);
      if (begun !== undefined) {
        report.info(`The backup ${archive.name} is open again and goes on where it stopped`);
        await alone(archive, begun, topicIds);
      }
      againMs = archive.works ? heldAgainMs : Math.min(2 * againMs, LONGEST * heldAgainMs);
    }
  } catch (error) {
    if (!reading.aborted || toTidemarkError(error).code !== "aborted") throw error;
  }
}
