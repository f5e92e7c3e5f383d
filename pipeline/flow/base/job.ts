/** One collection's base: what is to be copied, what it tells, and what the target must hold then. */
import type { DeleteMark, HybridTs, LogFile, Segment } from "../../model/mod.ts";
import type { RowSinkSetup } from "../dependencies.ts";
import type { ImportJob, ImportProgress } from "../imports/mod.ts";

export interface BaseJob extends ImportJob {
  readonly setup: RowSinkSetup;
  /** Live segments with rows, of live partitions. */
  readonly segments: readonly Segment[];
  /** From the log, by vchannel. */
  readonly logDeletes: ReadonlyMap<string, readonly DeleteMark[]>;
  /** Every delta file of the collection. */
  readonly deltaFiles: readonly LogFile[];
  /** vchannel of each segment that metadata knows, Dropped ones included. */
  readonly channelOfSegment: ReadonlyMap<bigint, string>;
  /**
   * vchannel -> what is on the target already: rows and deletes of up to this are passed over, and what later deletes leave no
   * row of is removed there before anything is written. Undefined: there is nothing yet.
   */
  readonly after?: ReadonlyMap<string, HybridTs>;
  /** True if rows of this collection may be on the target already: then all is upserted. */
  readonly resumed: boolean;
}

/** What the target must hold when the base is complete. */
export interface BaseRows {
  /** Partition -> rows. */
  readonly byPartition: ReadonlyMap<bigint, bigint>;
  /** Some of them came by an import: they are queryable some time later. */
  readonly imported: boolean;
}

export interface BaseProgress extends ImportProgress {
  /** A segment's rows are known: how many will be written. */
  planned(segmentId: bigint, rows: number): void;
  segmentDone(segmentId: bigint): Promise<void>;
  segmentBegun(segmentId: bigint): Promise<void>;
  /** Keys were removed on the target. */
  removed?(keys: number): void;
}
