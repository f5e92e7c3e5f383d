/** What the pipeline asks of its sources. Implementations read, decode and validate; they decide nothing. */
import type { CatalogChange, CollectionLookup, Snapshot } from "./snapshot.ts";
import type { ColumnBatch, DeleteMark } from "./column.ts";
import type { Position, Queue } from "./position.ts";
import type { LogBounds, LogFetch } from "./record.ts";
import type { LogFile, Segment } from "./segment.ts";
import type { ObjectInfo, ObjectStore } from "./store.ts";
import type { CheckLine } from "./check.ts";

export interface MetaSource {
  /**
   * Reads all metadata at one revision; torn reads are detected and repeated.
   * Throws `not_found` for an empty catalog root, `unreachable`, `authentication`, `torn` when repeating did not help.
   */
  snapshot(signal: AbortSignal): Promise<Snapshot>;
  /** Changes after `revision`, each with the whole catalog. Throws `position_lost` when etcd compacted it away. */
  watch(revision: bigint, signal: AbortSignal): AsyncIterable<CatalogChange>;
  /** What is known of a collection right now, read from etcd at once. */
  lookup(collectionId: bigint, signal: AbortSignal): Promise<CollectionLookup>;
  /** The source's own clock as its metadata says it, unix ms, never later than it is; undefined: it does not say. */
  clockMs?(signal: AbortSignal): Promise<number | undefined>;
  check(signal: AbortSignal): Promise<CheckLine[]>;
  close(): Promise<void>;
}

export interface TailOptions {
  /** Inserts of rows may be left out, unread: whoever looks for something else has no use for them. Default false. */
  readonly withoutInserts?: boolean;
}

/** How long a queue keeps what is written to a topic. */
export interface LogRetention {
  /** Ms since it was written; undefined: for ever as far as time goes, or not known. */
  readonly ms: number | undefined;
  /** Why it is undefined, or what else removes records; empty: nothing does. */
  readonly why: string;
}

/** What a queue said of how much room a topic's records take. */
export interface LogMeasure {
  /**
   * Bytes between two places, as the queue keeps them: exact where whole ledgers or segments lie between, else by the mean size
   * of a record in the same one. Undefined: nothing is known of records of that topic.
   */
  bytes(from: Position, to: Position): bigint | undefined;
}

export interface LogSource {
  /** Whose places its records have. */
  readonly queue: Queue;
  /** Names of the topics that exist. */
  topics(signal: AbortSignal): Promise<string[]>;
  /**
   * Throws `not_found` for a topic that does not exist. `known`: the identity under which it was read before, empty where there
   * is none yet. A queue that gives its topics none answers `known` as long as nothing speaks against it.
   */
  bounds(topic: string, signal: AbortSignal, known?: string): Promise<LogBounds>;
  /**
   * Records of `topic` from `offset` (inclusive) for ever, in their order, each exactly once.
   * Nothing is fetched ahead by more than one response: not calling `next()` is the back-pressure.
   * Survives broker restarts. Throws `position_lost` when `offset` is outside the log or the topic's identity is not
   * `topicId` any more (pass undefined to accept any).
   */
  tail(
    topic: string,
    offset: Position,
    topicId: string | undefined,
    signal: AbortSignal,
    options?: TailOptions,
  ): AsyncIterable<LogFetch>;
  /** Asked once, not again and again: throws where nobody answers, or may not say it. Left out where there is nobody to ask. */
  retention?(topic: string, signal: AbortSignal): Promise<LogRetention>;
  /**
   * Of what lies behind `from`, asked now and then. Undefined where the queue does not tell; throws where nobody answers, or may
   * not say it. Left out where there is nobody to ask.
   */
  measure?(topic: string, from: Position, signal: AbortSignal): Promise<LogMeasure | undefined>;
  check(signal: AbortSignal): Promise<CheckLine[]>;
  close(): Promise<void>;
}

/**
 * A file that metadata names and the store does not have as named, or one that it has and metadata does not name.
 * `unreadable`: a live segment whose files are of a kind that cannot be read; `detail` is the whole sentence.
 */
export interface FileFinding {
  readonly kind: "missing" | "wrong_size" | "unreadable" | "dirty_insert" | "unnamed_delta";
  readonly path: string;
  readonly collectionId: bigint;
  readonly segmentId: bigint;
  readonly detail: string;
  readonly bytes: bigint;
}

export interface FileReport {
  readonly findings: readonly FileFinding[];
  /**
   * Every delta file below delta_log/<collection>/, and below the folders of segments kept by a manifest, named or not, of
   * live, dropped or unknown segments.
   */
  readonly deltaFiles: readonly LogFile[];
  readonly insertFiles: number;
  readonly insertBytes: bigint;
  /**
   * Live segments kept by a manifest -> everything of them that a copy needs: the manifest, rows, deletes, statistics, large
   * values. Undefined: there are none.
   */
  readonly kept?: ReadonlyMap<bigint, readonly LogFile[]>;
  /** What the store says of a file that was listed; undefined for one that was not. */
  listed(file: LogFile): ObjectInfo | undefined;
}

/** Of one file of a text field: its first and its last text in their order, of each of its row groups. */
export interface TextExtremes {
  readonly path: string;
  readonly texts: readonly string[];
}

export interface BinlogSource {
  /**
   * Lists the collection's folders and compares them with what `segments` (all of the collection's) name. `only`: the segments
   * whose insert files are wanted, of which there may be few; those of others may then not be looked for. Left out: of all.
   */
  verify(
    collectionId: bigint,
    segments: readonly Segment[],
    signal: AbortSignal,
    only?: ReadonlySet<bigint>,
  ): Promise<FileReport>;
  /**
   * Rows of a segment in row order, only the given fields, bounded in memory whatever the segment's size.
   * A field that has no file (added later) has its default, or nulls; fields of struct arrays are flattened, `outer[sub]`.
   * Timestamps are the effective ones: not before the segment's commit timestamp. Row ids (field 0) are given where they are
   * asked for by their id, nulls where the files have none.
   * Throws `not_found` for a missing file and `damaged` for a broken one, both with segment and file in the message.
   */
  rows(
    segment: Segment,
    schema: import("../proto/gen/schema_pb.ts").CollectionSchema,
    fieldIds: readonly bigint[] | "all",
    signal: AbortSignal,
  ): AsyncIterable<ColumnBatch>;
  /** Deletes in one delta file, any of its forms (text, JSON, multi-field Parquet, bare Parquet). */
  deletes(file: LogFile, signal: AbortSignal): AsyncIterable<DeleteMark>;
  /** The same from the bytes of a delta log that lies elsewhere; `path` is as {@link LogFile.path} and says the partition. */
  deletesIn(bytes: Uint8Array, path: string, signal: AbortSignal): AsyncIterable<DeleteMark>;
  /**
   * What the statistics of a text field's files name, file by file, without a row being read. Not every kind of file has them.
   * Throws as `rows` does.
   */
  readonly extremes?: (segment: Segment, fieldId: bigint, signal: AbortSignal) => AsyncIterable<TextExtremes>;
  /** The store and key of a file, for copying it whole. */
  object(file: LogFile): { readonly store: ObjectStore; readonly key: string };
  check(signal: AbortSignal): Promise<CheckLine[]>;
  /** Stops the source's garbage collection while the returned handle lives, where a management address is configured. */
  pauseGc(signal: AbortSignal): Promise<AsyncDisposable>;
  close(): Promise<void>;
}
