/** What one record of a pchannel turned out to be. */
import type { HybridTs, LogEvent, LogRecord, Queue } from "../../pipeline/model/mod.ts";
import type { VchannelBook } from "./vchannel_book.ts";

/** A time tick: everything with ts <= `ts` is in the log before it. */
export interface TickMark {
  readonly kind: "tick";
  readonly generation: 1 | 2;
  readonly ts: HybridTs;
}

/**
 * `empty`: no value; `no_base`: the payload has no header; `no_rows`: an insert or delete of nothing; `system`: Milvus' own
 * housekeeping (flush, segment). The first two are what Milvus logs and skips itself.
 */
export type SkipReason = "empty" | "no_base" | "no_rows" | "system";

export interface SkipMark {
  readonly kind: "skip";
  readonly reason: SkipReason;
}

/** One record that says several things: rows or keys with different timestamps. */
export interface EventList {
  readonly kind: "events";
  readonly events: readonly LogEvent[];
}

/** A step of a transaction of generation 2; its bodies are events with the same `txnId`. */
export interface TxnMark {
  readonly kind: "txn";
  readonly step: "begin" | "commit" | "rollback";
  readonly txnId: bigint;
  readonly ts: HybridTs;
  readonly offset: bigint;
  /** Of a begin: it expires after so many milliseconds without a record; zero or less = never. */
  readonly keepaliveMs: bigint;
}

export type Decoded = LogEvent | TickMark | SkipMark | EventList | TxnMark;

export interface DecodeContext {
  readonly pchannel: string;
  /** Whose places the records have; Kafka's where it is left out. */
  readonly queue?: Queue;
  /** Which vchannel a collection has on this pchannel, for the records that do not say. */
  readonly vchannels: VchannelBook;
}

export type RecordDecoder = (record: LogRecord, context: DecodeContext) => Decoded;
