/** What a run is doing, as `status` and the progress display show it. Kept in the state beside the checkpoint. */
import type { AgreedStatus } from "./agreed.ts";
import type { HybridTs } from "./hybrid.ts";
import type { LogRetention } from "./source.ts";

/**
 * `starting`: reading metadata and the state; `snapshot`: reading the catalog; `base`: copying files; `tail`: following the
 * log; `waiting`: a server does not answer or asks to slow down, or no collection can begin yet; `blocked`: every collection
 * is held; `done`: the run ended where it was told to.
 */
export type RunPhase = "starting" | "snapshot" | "base" | "tail" | "waiting" | "blocked" | "done";

export interface CollectionStatus {
  readonly db: string;
  readonly name: string;
  /** `database.collection` on the target. */
  readonly target: string;
  readonly phase: "pending" | "base" | "tail" | "blocked" | "dropped";
  readonly segmentsDone: number;
  readonly segmentsTotal: number;
  readonly rowsDone: bigint;
  readonly rowsTotal: bigint;
  /** Rows written and keys deleted by the tail. */
  readonly inserted: bigint;
  readonly deleted: bigint;
  readonly blockedReason: string | undefined;
  /** Rows that the target refused; all others go on. */
  readonly refusedRows: RefusedRowsStatus | undefined;
  /** Columns that the target does not take as they are, and what was agreed. */
  readonly agreed: readonly AgreedStatus[];
  /** Bulk imports on the target, where the base is brought by them; their rows count in `rowsDone` as they go on. */
  readonly imports: ImportStatus | undefined;
}

export interface RefusedRowsStatus {
  /** Held until the target takes them. */
  readonly held: number;
  /** Put aside as dead letters. */
  readonly deadLetters: number;
  /** The first keys, as text. */
  readonly keys: readonly string[];
  /** Why the first was refused. */
  readonly reason: string;
}

export interface ImportStatus {
  readonly done: number;
  readonly total: number;
  /** Of 100, of all their rows, as the target estimates it. */
  readonly percent: number;
}

export interface ChannelStatus {
  readonly pchannel: string;
  /** Place from which a restart would read, as its queue writes it: Kafka's is the offset. */
  readonly position: string;
  /** Everything up to here is on the sinks. */
  readonly tick: HybridTs;
  readonly lagMs: number;
  readonly recordsPerSec: number;
  /** For how long what a restart would read first has been in the log, at most; more than the lag while a collection is held. */
  readonly neededMs?: number | undefined;
  /** How long ago its log was found to hold nothing that not every sink has; left out where it may hold something. */
  readonly idleMs?: number | undefined;
  /** How long the queue keeps its records; left out until it was asked, or where it cannot be. */
  readonly retention?: LogRetention | undefined;
  /** How far the queue itself says that the log goes on; left out until it was asked, or where it does not answer. */
  readonly behind?: BehindStatus | undefined;
}

/**
 * Ms until retention reaches what a restart would read first; undefined where that cannot be said. `olderMs`: age of the status.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { lossMs } from "./status.ts";
 *
 * const channel = { pchannel: "dml_0", position: "7", tick: 1n, lagMs: 250, recordsPerSec: 0 };
 * assert.equal(lossMs({ ...channel, neededMs: 60_000, retention: { ms: 3_600_000, why: "" } }), 3_540_000);
 * assert.equal(lossMs(channel), undefined);
 * ```
 */
export function lossMs({ retention, lagMs, neededMs = 0 }: ChannelStatus, olderMs = 0): number | undefined {
  if (retention?.ms === undefined) return undefined;
  return Math.max(0, retention.ms - Math.max(lagMs, neededMs) - olderMs);
}

export interface BehindStatus {
  /** Place behind the last record of the log. */
  readonly end: string;
  /** Records between the two places; undefined where the queue does not count them. */
  readonly records: number | undefined;
  /** Bytes between them, as the queue keeps them: an estimate. Undefined where the queue says nothing of sizes. */
  readonly bytes: number | undefined;
  /** When the queue said so, ISO time. */
  readonly at: string;
}

export interface SinkStatus {
  readonly name: string;
  /** `held`: nothing is written there until somebody mends what is said; the others go on. */
  readonly state: "ok" | "waiting" | "held";
  /** Why it waits or is held, empty where it is not. */
  readonly reason: string;
}

/** The bases that a backup sink makes one after the other. */
export interface BasesStatus {
  readonly sink: string;
  /** When the last base was done or given up, and the last that was done; ISO times, empty where there is none. */
  readonly triedAt: string;
  readonly goodAt: string;
  /** Given up since the last good one, and why the last of them. */
  readonly failures: number;
  readonly error: string;
}

/** Something that waits: a server that does not answer, a collection that cannot begin yet, a step that is tried again. */
export interface WaitStatus {
  /** What is waited for, as the configuration names it: `sinks.replica`, `sources.log`; `run`: the run itself. */
  readonly component: string;
  /** `database.collection` where only that one waits; empty: all that needs the component. */
  readonly collection: string;
  readonly reason: string;
  /** ISO times; `next`, of the next attempt, is empty where that is not known. */
  readonly since: string;
  readonly next: string;
}

export interface RunRates {
  readonly rowsPerSec: number;
  readonly bytesPerSec: number;
}

export interface RunStatus {
  readonly pipeline: string;
  readonly phase: RunPhase;
  readonly collections: readonly CollectionStatus[];
  readonly channels: readonly ChannelStatus[];
  readonly sinks: readonly SinkStatus[];
  readonly bases: readonly BasesStatus[];
  /** All that waits, the oldest first. */
  readonly waits: readonly WaitStatus[];
  /** The largest lag of all channels. */
  readonly lagMs: number;
  readonly rates: RunRates;
  /** Bytes read and not yet acknowledged by the sinks, and the limit. */
  readonly inFlightBytes: number;
  readonly inFlightLimitBytes: number;
  /** ISO times, empty where there is none. */
  readonly startedAt: string;
  readonly checkpointAt: string;
  /** When this status was taken. */
  readonly at: string;
  readonly lastError: string | undefined;
  readonly warnings: readonly string[];
}
