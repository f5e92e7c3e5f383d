/** What the flow is given by `config`: components by their interfaces, decisions as pure functions, time and limits. */
import type { TidemarkError } from "../errors.ts";
import type { Waits } from "../waits.ts";
import type {
  AliasPolicy,
  Alteration,
  ArchiveSink,
  BinlogSource,
  CatalogChange,
  CreditGate,
  DdlKind,
  DdlOutcome,
  DdlStep,
  DeadLetters,
  HybridTs,
  LoadMode,
  LogEvent,
  LogRecord,
  LogSource,
  MetaSource,
  RefusedRowsStatus,
  ResumePoint,
  RowSink,
  StateStore,
  TargetName,
  TickGroup,
} from "../model/mod.ts";
import type { UnsupportedPolicy } from "../transforms/mod.ts";
import type { CrashPoints } from "./state/crash_points.ts";

/** Reads one pchannel from a resume point as ordered groups. `select` drops events at the source of the stream. */
export interface FollowRequest {
  readonly pchannel: string;
  readonly from: ResumePoint;
  /** Whoever reads has everything up to this tick, though groups of before are wanted, too. */
  readonly passed?: HybridTs;
  readonly topicId: string | undefined;
  readonly select: (event: LogEvent) => boolean;
  readonly gate?: CreditGate;
  /** Inserts of rows may be left out, unread. */
  readonly withoutInserts?: boolean;
  /** Keep every raw record in the groups, for an archive. */
  readonly records?: boolean;
  /** The vchannel of a collection on this pchannel, for records of generation 1 that do not say it. */
  readonly vchannelOf?: (collectionId: bigint) => string | undefined;
  /** Everything up to this is in the log by now, whatever its last tick says: a checkpoint of the metadata. */
  readonly promised?: HybridTs;
  /** Told before what a fetch brought is handed out, where the topic's identity moves on with it. */
  readonly identify?: (topicId: string) => void;
}

export type Follow = (request: FollowRequest, signal: AbortSignal) => AsyncIterable<TickGroup>;

/** What to do with a DDL step, and with one that the target refused. */
export interface DdlRules {
  /** `block`: the collection is held at this change (policy `exception`). */
  decide(step: DdlStep): "apply" | "skip" | "block";
  /** `block`: the collection is held with the server's words; `report`: go on. */
  onRefusal(step: DdlStep): "block" | "report";
  /** Whether a kind may be applied at all, for changes that come from the log. */
  allows(kind: DdlKind): boolean;
}

/** What the archive's index says of a raw record. `collectionId` where the record names one. */
export type DescribeRecord = (record: LogRecord) => {
  readonly ts: HybridTs;
  /** Empty for records of the whole pchannel. */
  readonly vchannel: string;
  readonly type: string;
  readonly collectionId: bigint | undefined;
  /** Of a change of partitions. */
  readonly partitionIds?: readonly bigint[];
  /** What its collection became by it. */
  readonly alteration?: Alteration;
};

/** Clients of the source asked that these collections be flushed. */
export interface RequestedFlush {
  readonly db: string;
  readonly collections: readonly string[];
  readonly ts: HybridTs;
}

/** What becomes of rows that a target refuses for what they hold. */
export type BadRows =
  /** Remembered in the state, tried again at each start. */
  | { readonly policy: "hold" }
  /** Put aside; only a replay tries them again. */
  | { readonly policy: "dead_letter"; readonly letters: DeadLetters };

export interface RowSinkSetup {
  readonly sink: RowSink;
  readonly onExisting: "fail" | "merge" | "replace";
  /** What is loaded there. Default `source`. */
  readonly load?: LoadMode;
}

export interface FlowLimits {
  /** Bytes read from the log and not acknowledged. */
  readonly inFlightBytes: number;
  /** Segments read at once. */
  readonly baseParallelism: number;
  /** Rows and bytes after which a batch of the tail is sent. */
  readonly batchRows: number;
  readonly batchBytes: number;
  /** Batches of one vchannel under way at once, where their keys are disjoint. */
  readonly laneDepth: number;
  /** Bytes for the tables that find deleted and superseded rows of the base. */
  readonly baseMemoryBytes: number;
  readonly checkpointIntervalMs: number;
  /** Refused rows of a collection that are remembered, and bytes of those that the state keeps: it is written as a whole. */
  readonly refusedRows: number;
  readonly refusedBytes: number;
  /** Before a backup that is held is opened again, ms; twice as long each time, up to twelve times that. Default 5000. */
  readonly heldAgainMs?: number;
  /** A backup whose storage has not answered for so long is held, ms. Default 120 000. */
  readonly heldAfterMs?: number;
}

export const DEFAULT_LIMITS: FlowLimits = {
  inFlightBytes: 128 * 1024 * 1024,
  baseParallelism: 4,
  batchRows: 8192,
  batchBytes: 8 * 1024 * 1024,
  laneDepth: 2,
  baseMemoryBytes: 128 * 1024 * 1024,
  checkpointIntervalMs: 1000,
  refusedRows: 10_000,
  refusedBytes: 16 * 1024 * 1024,
};

/** What the flow tells: each is logged, and counted in the status. */
export interface FlowReport {
  /** Something that a person should know; said once per key. */
  warn(key: string, message: string): void;
  info(message: string): void;
  ddl(outcome: DdlOutcome): void;
  blocked(collection: string, error: TidemarkError): void;
}

export interface Selection {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** A run may begin though nothing is selected. */
  readonly allowEmpty: boolean;
  /** `the source`, `the backup nightly`. */
  readonly source: string;
}

/** The source is followed by its metadata and files alone. */
export interface FollowBySteps {
  /** Between two looks at the source. A change of its catalog is looked at earlier. */
  readonly pollMs: number;
  /** Asks the source to write what it holds back. Undefined: it does that by itself. */
  readonly flush?: {
    readonly everyMs: number;
    readonly flush: (collections: readonly TargetName[], signal: AbortSignal) => Promise<void>;
  };
}

export interface FlowDependencies {
  readonly pipeline: string;
  readonly meta: MetaSource;
  readonly log: LogSource;
  readonly follow: Follow;
  /** Flushes from now on, of the cluster that the pchannel belongs to; undefined for a source without clients. */
  readonly flushes?: (pchannel: string, signal: AbortSignal) => AsyncIterable<RequestedFlush>;
  readonly binlogs: BinlogSource;
  /**
   * Where the deletes are that the base needs: a running Milvus' metadata forgets delta files, so its log is read as well;
   * a backup has them all in its files.
   */
  readonly baseDeletes: "log_and_files" | "files";
  /** Given: there is no log; the copy goes from cut to cut of the files. */
  readonly steps?: FollowBySteps;
  readonly sinks: readonly RowSinkSetup[];
  readonly archives: readonly ArchiveSink[];
  readonly describeRecord: DescribeRecord;
  readonly state: StateStore;
  /** True if `database.collection` is selected. */
  readonly selects: (db: string, name: string) => boolean;
  /** The selection in words, for messages. */
  readonly selection: Selection;
  /** True if an empty database of this name is to be carried. */
  readonly selectsDatabase: (db: string) => boolean;
  readonly route: (db: string, name: string) => TargetName;
  readonly routeDatabase: (db: string) => string;
  readonly ddl: DdlRules;
  readonly badRows: BadRows;
  /** What becomes of columns that a target does not take. Default: their collection is held. */
  readonly unsupported?: UnsupportedPolicy;
  /** What becomes of an alias of the target that belongs to what the run did not make. */
  readonly aliases: AliasPolicy;
  readonly rbac: boolean;
  readonly onPositionLost: "fail" | "resnapshot";
  readonly limits: FlowLimits;
  readonly report: FlowReport;
  /** All that waits now: components note it there, and the flow does. */
  readonly waits: Waits;
  readonly crash: CrashPoints;
  readonly now: () => number;
}

export interface RunOptions {
  /**
   * `follow`: for ever; `once`: all that was in the log when the run began; `until`: exactly up to `ts`, or without a log to
   * the first cut of each channel that is not before it; `base`: the base alone, each channel as of its cut, without a log.
   */
  readonly end: { readonly kind: "follow" } | { readonly kind: "once" } | { readonly kind: "base" } | {
    readonly kind: "until";
    readonly ts: HybridTs;
  };
  /** The run is a restore, and how its end was asked for: a state that is finished is not gone on with but begun anew. */
  readonly restore?: string;
}

export interface RunResult {
  /** Everything is applied up to here, on all channels; 0 where the run was stopped before. */
  readonly upTo: HybridTs;
  /** Collections that are held, with the reason. */
  readonly blocked: readonly { readonly collection: string; readonly reason: string }[];
  /** DDL that the target refused and the policy let pass. */
  readonly refused: readonly DdlOutcome[];
  /** Backup sinks that are held, with the reason: what they lack of the log is not in them. */
  readonly held: readonly { readonly sink: string; readonly reason: string }[];
  /** Backup sinks whose last base failed, with the reason. */
  readonly basesFailed: readonly { readonly sink: string; readonly reason: string }[];
  /** Collections that are complete but for rows that the target refused. */
  readonly refusedRows: readonly RefusedRowsResult[];
}

/** Rows of one collection that one sink does not have. */
export interface RefusedRowsResult extends RefusedRowsStatus {
  readonly sink: string;
  readonly collection: string;
}

/** The part of a catalog change that the flow works on. */
export type Change = CatalogChange;
