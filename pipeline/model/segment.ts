/** Segments and their files as metadata names them. */
import type { HybridTs } from "./hybrid.ts";
import type { Position, Queue } from "./position.ts";

export type SegmentState =
  | "none"
  | "not_exist"
  | "growing"
  | "sealed"
  | "flushed"
  | "flushing"
  | "dropped"
  | "importing";

/** A position of the queue as Milvus stores it. */
export interface StoredPosition {
  readonly channel: string;
  /** Undefined where Milvus gave none, or one of another queue than the one that is read. */
  readonly offset: Position | undefined;
  /** Whose position it is, where the metadata says it (2.6 and later). */
  readonly queue?: Queue;
  readonly ts: HybridTs;
  /** Of a checkpoint: a streaming node wrote it (2.6 and later). */
  readonly streamed?: boolean;
}

/** One file of a segment. */
export interface LogFile {
  /** Object key below the storage root, for example `insert_log/1/2/3/100/5`; never the stored `log_path`. */
  readonly path: string;
  readonly logId: bigint;
  readonly entries: bigint;
  /** Exact for insert logs, enclosing bounds for delta logs; 0 where metadata does not say. */
  readonly tsFrom: HybridTs;
  readonly tsTo: HybridTs;
  /** Bytes; 0 where metadata does not say. */
  readonly size: bigint;
}

/** The files of one field (storage V1) or one column group (V2), in row order. */
export interface FieldFiles {
  /** Field id in storage V1, column-group id in V2. */
  readonly fieldId: bigint;
  readonly childFields: readonly bigint[];
  readonly files: readonly LogFile[];
}

/** `rows`: read the files; `deletes`: apply only the deletes (L0); `none`: neither. */
export type SegmentClass = "rows" | "deletes" | "none";

export interface Segment {
  readonly id: bigint;
  readonly collectionId: bigint;
  /** -1 for an L0 segment of the whole collection. */
  readonly partitionId: bigint;
  readonly vchannel: string;
  readonly state: SegmentState;
  /** 0 legacy (as L1), 1 = L0, 2 = L1, 3 = L2: the enum number, not the level. */
  readonly level: number;
  readonly rows: bigint;
  readonly startPosition: StoredPosition | undefined;
  readonly dmlPosition: StoredPosition | undefined;
  readonly storageVersion: bigint;
  /** JSON that points at the segment's manifest (storage V3), empty otherwise. */
  readonly manifestPath: string;
  /** Rows count from this time where they are older (imports of 3.0); 0: they count as they are. */
  readonly commitTimestamp: HybridTs;
  readonly isImporting: boolean;
  /** A bulk import filled it; not said of what compactions and sorts made of such a segment. */
  readonly imported?: boolean;
  readonly isFake: boolean;
  readonly isInvisible: boolean;
  readonly createdByCompaction: boolean;
  readonly compactionFrom: readonly bigint[];
  readonly compacted: boolean;
  /** Unix nanoseconds, 0 while alive. */
  readonly droppedAt: bigint;
  readonly binlogs: readonly FieldFiles[];
  readonly deltalogs: readonly FieldFiles[];
  readonly statslogs: readonly FieldFiles[];
  readonly class: SegmentClass;
  /** Why the class is what it is, for `inspect` and `plan`. */
  readonly classReason: string;
}
