/** What the pipeline asks of a sink that keeps files and records instead of rows: a backup. */
import type { LoggedAlteration } from "./alteration.ts";
import type { Catalog, Collection } from "./catalog.ts";
import type { CheckLine } from "./check.ts";
import type { CollectionSchema } from "../proto/gen/schema_pb.ts";
import type { ColumnBatch, DeleteMark } from "./column.ts";
import type { HybridTs } from "./hybrid.ts";
import type { LogRecord, ResumePoint, Silence } from "./record.ts";
import type { LogFile, Segment } from "./segment.ts";
import type { Cut } from "./snapshot.ts";
import type { FileFinding } from "./source.ts";
import type { ObjectInfo, ObjectStore } from "./store.ts";

/** A record of the queue with what the archive indexes. The value is copied when it is taken over. */
export interface ArchivedRecord {
  readonly record: LogRecord;
  /** Effective hybrid timestamp: of the rows, of the tick. 0 where the record has none. */
  readonly ts: HybridTs;
  /** Empty for records of the whole pchannel. */
  readonly vchannel: string;
  /** `insert`, `delete`, `tick`, or the name of the DDL operation. */
  readonly type: string;
}

/** Where the metadata of a base comes from, and what is exact. */
export interface BaseFacts {
  readonly revision: bigint;
  readonly clusterId: string;
  readonly serverVersion: string;
  /** Unix ms. */
  readonly takenAtMs: number;
  readonly catalog: Catalog;
  readonly cuts: readonly Cut[];
  /** The first moment that base and log give exactly over all channels. */
  readonly exactFrom: HybridTs;
  /** The collections of the run; others of the catalog are not in the backup. */
  readonly collectionIds: readonly bigint[];
  readonly findings: readonly FileFinding[];
  /** Stated when the base is finished; empty before. */
  readonly knownDeletes: readonly KnownDeletes[];
}

/**
 * Of a base: for every row of this vchannel in it, its delta logs, named and own, hold every delete up to the vchannel's cut.
 * The next base needs the log from that cut on only.
 */
export interface KnownDeletes {
  readonly vchannel: string;
  /** Of the topic in which the cut's offset counts. */
  readonly topicId: string;
}

/** The base before, as far as the next one learns deletes from it. */
export interface PreviousBase {
  readonly name: string;
  readonly known: readonly (Cut & KnownDeletes)[];
  /** All delta logs of a collection in it. `path` is as {@link LogFile.path}. */
  deltaLogs(collectionId: bigint): readonly PreviousDeltaLog[];
}

export interface PreviousDeltaLog {
  readonly path: string;
  readonly segmentId: bigint;
  /** Of an own one, a number that the source may have given to another log since. */
  readonly logId: bigint;
  /** Written by that base, for deletes that the metadata forgot; the source has no such file. */
  readonly own: boolean;
  /** Throws `damaged` where the bytes are not what the base's manifest says, `not_found` where it was removed. */
  read(signal: AbortSignal): Promise<Uint8Array>;
}

/** One collection as it goes into the backup's metadata: exactly these segments, all of them copied. */
export interface BaseCollection {
  readonly collection: Collection;
  readonly segmentIds: readonly bigint[];
}

export interface SegmentCopy {
  readonly segmentId: bigint;
  readonly files: number;
  readonly bytes: bigint;
  /** Of `files` and `bytes`: there already, from before a restart. */
  readonly presentFiles: number;
  /** Of `bytes`: not stored again but shared with the previous base. */
  readonly sharedBytes: bigint;
  /** Deletes written as a delta log of our own. */
  readonly ownDeletes: number;
}

/** What one pchannel's archive durably holds. */
export interface ArchiveProgress {
  /** Number of the last closed file, 0 if there is none. */
  readonly sequence: bigint;
  /** Offset of the last record durably archived; -1 if there is none. */
  readonly lastOffset: bigint;
  /** Where a restart must read again; undefined if nothing is archived yet. */
  readonly resume: ResumePoint | undefined;
}

export interface BaseReport {
  readonly name: string;
  readonly objects: number;
  readonly bytes: bigint;
  readonly sharedBytes: bigint;
  /** Left over from an earlier attempt and removed before the metadata was written. */
  readonly removed: readonly string[];
}

/** What is in a segment, for a sink that writes it in another form than its files have. Reads nothing before it is asked. */
export interface SegmentContents {
  /** As the backup says of the collection. */
  readonly schema: CollectionSchema;
  /** As BinlogSource.rows. */
  rows(fieldIds: readonly bigint[], signal: AbortSignal): AsyncIterable<ColumnBatch>;
  /** As BinlogSource.deletes. */
  deletes(file: LogFile, signal: AbortSignal): AsyncIterable<DeleteMark>;
}

/** One backup being written: a base and, beside it, its log. All methods may run concurrently for different segments and pchannels. */
export interface BackupSession {
  readonly name: string;
  /** `complete`: `meta/backup_meta.json` is there, only the log goes on; `partial`: begun, not finished. */
  readonly base: "none" | "partial" | "complete";
  /** Undefined if there is none, or it is not ours. */
  readonly previous: PreviousBase | undefined;
  /** States what is copied. May be called again with a newer snapshot: what is already copied stays copied. */
  begin(facts: BaseFacts, signal: AbortSignal): Promise<void>;
  /**
   * Copies every file of a segment whole. `object` says where a file lies (BinlogSource.object), and what is known of it
   * (FileReport.listed): without that its folder is listed.
   * `kept`: all files of a segment kept by a manifest, which is copied with it into our own part of the backup; or, where the
   * sink is to write such segments as storage V2, its `contents` are.
   * `forgotten`: deletes that metadata does not name, for rows of this segment; any timestamp, the reader filters.
   * Throws `not_found` (with segment and file) when a file has gone: read the metadata again and pass the successor.
   */
  copySegment(
    segment: Segment,
    object: (file: LogFile) => {
      readonly store: ObjectStore;
      readonly key: string;
      readonly info?: ObjectInfo | undefined;
    },
    forgotten: readonly DeleteMark[],
    signal: AbortSignal,
    kept?: readonly LogFile[],
    contents?: SegmentContents,
  ): Promise<SegmentCopy>;
  /**
   * Writes the metadata, `meta/backup_meta.json` last and only if it is absent. `failed` names collections that are missing
   * from the backup and why. Throws `damaged` if a named segment was not copied.
   */
  finishBase(
    collections: readonly BaseCollection[],
    failed: readonly { readonly id: bigint; readonly name: string; readonly reason: string }[],
    signal: AbortSignal,
  ): Promise<BaseReport>;

  /** What the archive of a pchannel holds: read before tailing, and for the checkpoint of this sink. */
  progress(pchannel: string, signal: AbortSignal): Promise<ArchiveProgress>;
  /**
   * Takes records over, in offset order; those that are archived already are skipped. Resolves when they are accepted (the
   * caller may give its credit back), not when they are durable: the checkpoint follows `durable`.
   * `resume`: where a restart must read once these records are durable.
   */
  appendLog(
    pchannel: string,
    records: readonly ArchivedRecord[],
    resume: ResumePoint,
    signal: AbortSignal,
  ): Promise<void>;
  /** The resume point that is durable now; undefined until the first file is closed. */
  durable(pchannel: string): ResumePoint | undefined;
  /** Whether every record that was taken over is durable; true of a pchannel of which none was. */
  isDurable(pchannel: string): boolean;
  /** States that the records from `from` up to, not including, `to` are lost to the archive, so that readers know. */
  gap(pchannel: string, from: bigint, to: bigint, reason: string): Promise<void>;
  /**
   * Keeps the catalog as it is after a change, because the log does not tell of partitions, indexes, aliases, properties.
   * Durable when it resolves. Call it for each CatalogChange of the run, also before the base is finished. It counts from now,
   * or from `since`; the same revision may be noted again. A collection that is `damaged` is noted as it was noted last.
   */
  noteCatalog(revision: bigint, catalog: Catalog, signal: AbortSignal, since?: HybridTs): Promise<void>;
  /**
   * Keeps when collections and partitions were dropped, by their log: the catalogs count by the writer's clock. Durable when it resolves.
   * Call it before the record of the drop is appended; the same one may be noted again.
   */
  noteDrops(drops: ReadonlyMap<bigint, HybridTs>, signal: AbortSignal): Promise<void>;
  /** The same of what collections became by changes that do not destroy them. */
  noteAlterations(alterations: readonly LoggedAlteration[], signal: AbortSignal): Promise<void>;
  /** Keeps up to when nothing more was written to pchannels whose records are durable. */
  noteSilences(silences: ReadonlyMap<string, Silence>, signal: AbortSignal): Promise<void>;
  /** Closes the files that are old enough at `nowMs`. Call it from time to time: an idle pchannel has no other clock. */
  rollDue(nowMs: number, signal: AbortSignal): Promise<void>;
  /** Closes all open files: everything appended is durable afterwards. */
  flushLog(signal: AbortSignal): Promise<void>;
  /**
   * For a new base in the same run: takes over the files of the previous backup's log from this base's cuts on. From then
   * on records go to this session only. Nothing may be appended to either while it runs.
   */
  adoptLog(previous: BackupSession, signal: AbortSignal): Promise<void>;
  /** Bytes of closed archive files, and the time of the base, for `due`. */
  readonly archiveBytes: bigint;
  readonly baseTakenAtMs: number;
  close(): Promise<void>;
}

export interface ArchiveSink {
  readonly kind: "archive";
  readonly name: string;
  /** Whether the log is archived too. */
  readonly logArchive: boolean;
  check(signal: AbortSignal): Promise<CheckLine[]>;
  /**
   * Opens a backup for writing. `resume`: the name a former run of this pipeline was writing; otherwise a new name is made
   * from the pattern. Throws `target_not_empty` if the new name is taken.
   */
  open(
    options: { readonly resume: string | undefined; readonly previous: string | undefined; readonly nowMs: number },
    signal: AbortSignal,
  ): Promise<BackupSession>;
  /** Why a new base is due now: the schedule, or the archive's size or age; undefined if it is not. */
  due(session: BackupSession, nowMs: number): string | undefined;
  close(): Promise<void>;
}
