/** The content of a backup's metadata, whoever wrote it, in the pipeline's words. */
import type { Collection, Database, HybridTs, Rbac } from "../../pipeline/model/mod.ts";
import type { SegmentPlace } from "./layout.ts";

/** One file of a backed-up segment. */
export interface BackedFile {
  readonly logId: bigint;
  /** Bytes; 0 where the metadata does not say. milvus-backup writes what Milvus' metadata says, which need not be the object's size. */
  readonly size: bigint;
  readonly entries: bigint;
  /** 0 where the metadata does not say. */
  readonly tsFrom: HybridTs;
  readonly tsTo: HybridTs;
  /** The object's key at the source; for people only. */
  readonly logPath: string;
}

export interface BackedFieldFiles {
  readonly fieldId: bigint;
  readonly files: readonly BackedFile[];
}

export interface BackedSegment extends SegmentPlace {
  readonly rows: bigint;
  readonly isL0: boolean;
  /** Empty where the writer did not know it. */
  readonly vchannel: string;
  readonly storageVersion: bigint;
  readonly binlogs: readonly BackedFieldFiles[];
  readonly deltalogs: readonly BackedFieldFiles[];
}

export interface BackedCollection {
  readonly collection: Collection;
  /** All segments, L0 ones included. */
  readonly segments: readonly BackedSegment[];
  /** vchannel -> serialised msg.MsgPosition. */
  readonly checkpoints: ReadonlyMap<string, Uint8Array>;
  readonly backupTs: HybridTs;
}

export interface BackupMeta {
  /** Id of the task that made it, a UUID. */
  readonly id: string;
  readonly name: string;
  /** As found: `v2.3.5`. */
  readonly milvusVersion: string;
  readonly backupTs: HybridTs;
  readonly format: "" | "binlog";
  readonly databases: readonly Database[];
  readonly rbac: Rbac | undefined;
  readonly collections: readonly BackedCollection[];
}

/** Bytes of a segment's files, as its metadata says. */
export function segmentBytes(segment: BackedSegment): bigint {
  let bytes = 0n;
  for (const { files } of [...segment.binlogs, ...segment.deltalogs]) for (const { size } of files) bytes += size;
  return bytes;
}

/** What a list of backups shows of one that Tidemark made. */
export interface BackupExtension {
  readonly pipeline: string;
  /** Unix ms of the base's snapshot. */
  readonly taken_ms: number;
  readonly exact_from: HybridTs;
  readonly log_archive: boolean;
  readonly collections: number;
  readonly rows: bigint;
  readonly previous: string;
  /** Collections that should be in the backup and are not. */
  readonly failed: number;
}
