/** Records of the queue, and what they say. */
import type { Keys } from "./column.ts";
import type { HybridTs } from "./hybrid.ts";
import type { Position } from "./position.ts";

/** One record of a topic, undecoded. Values are views into a fetch response: copy what is kept for long. */
export interface LogRecord {
  readonly topic: string;
  readonly offset: Position;
  /** Producer's wall clock, unix ms; meaningless for order. */
  readonly timestampMs: bigint;
  readonly headers: readonly (readonly [name: string, value: Uint8Array])[];
  readonly value: Uint8Array | null;
}

/** What one fetch brought. An idle fetch has no records but still says where the log ends. */
export interface LogFetch {
  readonly records: readonly LogRecord[];
  /** Behind the last record that there is: no later one has a smaller place. */
  readonly highWatermark: Position;
  /** From where the next fetch reads; at `highWatermark` nothing is left. */
  readonly next: Position;
  /** The topic's identity, where it moves on with what is read: for whoever goes on from here, or from before. */
  readonly topicId?: string;
  /** Of a log that is kept and will not grow: everything up to this is in it, whatever its last tick says. */
  readonly complete?: HybridTs;
  /**
   * Of a log that keeps its ticks to itself: everything with a timestamp of up to this was handed out. Counts as a tick behind
   * the records. A transaction counts with its commit, and its parts come together.
   */
  readonly confirmed?: HybridTs;
  /** From where everything later than `confirmed` is read again. Default: `next`. */
  readonly resume?: Position;
}

export interface LogBounds {
  /** Of the oldest record still held, or where the next one will be. */
  readonly earliest: Position;
  /** Behind the last record: no later one has a smaller place. */
  readonly latest: Position;
  /** Identity of the topic; a topic deleted and created again has another. Empty where nobody told one. */
  readonly topicId: string;
}

/** From where to read a pchannel: `offset` inclusive, and of what is read only what has an effective ts > `tick`. */
export interface ResumePoint {
  readonly offset: Position;
  readonly tick: HybridTs;
}

interface EventBase {
  /** 1: msgstream (2.2 to 2.5); 2: streaming WAL (2.6, 3.0). Decided per record. */
  readonly generation: 1 | 2;
  /** Effective timestamp: of the rows in generation 1, the record's or its transaction's time tick in generation 2. */
  readonly ts: HybridTs;
  readonly pchannel: string;
  /** Empty for events of the whole pchannel. */
  readonly vchannel: string;
  readonly offset: Position;
  /** Size of the record's value in bytes; what the window counts. */
  readonly bytes: number;
  readonly txnId?: bigint;
}

export interface InsertEvent extends EventBase {
  readonly kind: "insert";
  readonly collectionId: bigint;
  readonly partitionId: bigint;
  readonly partitionName: string;
  readonly segmentId: bigint;
  readonly msgId: bigint;
  readonly rows: number;
  /** Serialised schema.FieldData messages, one a column, untouched. System columns are not among them. */
  readonly fieldsData: readonly Uint8Array[];
}

export interface DeleteEvent extends EventBase {
  readonly kind: "delete";
  readonly collectionId: bigint;
  /** -1 = all partitions. */
  readonly partitionId: bigint;
  readonly partitionName: string;
  readonly msgId: bigint;
  readonly keys: Keys;
}

/** The operations that the log announces. Generation 1 knows the first five on its pchannels. */
export type DdlOperation =
  | "create_collection"
  | "drop_collection"
  | "create_partition"
  | "drop_partition"
  | "import"
  | "truncate_collection"
  | "replicate"
  | "alter_collection"
  | "other";

export interface DdlEvent extends EventBase {
  readonly kind: "ddl";
  readonly operation: DdlOperation;
  /** MsgType (generation 1) or MessageType (generation 2). */
  readonly type: number;
  readonly typeName: string;
  readonly collectionId: bigint;
  readonly collectionName: string;
  /** For partition operations; empty otherwise. */
  readonly partitionIds: readonly bigint[];
  readonly partitionName: string;
  /** Generation 2: identity and channels of a broadcast; copies on several channels share it. */
  readonly broadcast?: { readonly id: bigint; readonly vchannels: readonly string[] };
  /** The decoded request, or {header, body}, for `inspect log`. */
  readonly message: unknown;
}

/** A delete that names no keys: of a vchannel's rows those go for which its plan holds, of all that were written before it there. */
export interface DeleteByPredicate {
  /** A serialised plan.PlanNode. */
  readonly plan: Uint8Array;
  /** -1 = all partitions. */
  readonly partitionId: bigint;
}

/** A record that was read but must not be skipped silently: its collection (or channel) is blocked with the reason. */
export interface BlockEvent extends EventBase {
  readonly kind: "block";
  /** -1 where the record does not say. */
  readonly collectionId: bigint;
  readonly type: number;
  /** A sentence: what it is and why it cannot be applied. */
  readonly reason: string;
  /** What it says cannot be read: a type or version that is not known, or encrypted rows. */
  readonly unreadable?: true;
  /** What it did is in the source's files: it concerns only who copied them before it. */
  readonly inFiles?: true;
  /** It is such a delete, which a target that has the rows can carry out. It blocks everyone else. */
  readonly predicate?: DeleteByPredicate;
}

export type LogEvent = InsertEvent | DeleteEvent | DdlEvent | BlockEvent;

/**
 * A reader stands where the log ends. From generation 2 on no tick comes without a message, so that this is all that is heard
 * of a pchannel on which nothing is written, for hours.
 */
export interface LogEnd {
  /** Behind the last record that there is. */
  readonly offset: Position;
  /** For how long the log has ended here, as the reader sees it, ms. */
  readonly sinceMs: number;
  /** Timestamp of the oldest event that was read and waits for its tick; undefined: none does. */
  readonly waiting: HybridTs | undefined;
  /** As {@link LogFetch.complete}. */
  readonly complete: HybridTs | undefined;
}

/** Behind its last tick nothing was written to a pchannel with a timestamp of up to `ts`. */
export interface Silence {
  readonly tick: HybridTs;
  readonly ts: HybridTs;
}

/** What a time tick released on one pchannel, in the order in which it must be applied. */
export interface TickGroup {
  readonly pchannel: string;
  /** Every event with ts <= tick is in this or an earlier group. */
  readonly tick: HybridTs;
  /** Sorted by (ts, delete before insert, offset). */
  readonly events: readonly LogEvent[];
  /** Every record read since the last group, in offset order, the tick itself last; for an archive. Empty unless asked for. */
  readonly records: readonly LogRecord[];
  /** Where to start again once this group is applied. */
  readonly resume: ResumePoint;
  /** Bytes of the values that this group holds in memory: credit to give back when it is acknowledged. */
  readonly bytes: number;
  /** Set where no tick released it: nothing new is in it but that the log ends, behind the last `tick`. */
  readonly end?: LogEnd;
}

/**
 * Counts bytes of log values that are held in memory. A reader takes credit for what a fetch brought before it buffers it,
 * and gives it back at once for records that lead to no event; the credit of events goes with their group's `bytes`.
 */
export interface CreditGate {
  /** Resolves when `bytes` may be held. Rejects with the signal's reason. */
  take(bytes: number, signal: AbortSignal): Promise<void>;
  give(bytes: number): void;
}
