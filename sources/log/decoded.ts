/** What one record of a pchannel turned out to be. */
import type { HybridTs, LogEvent, LogRecord } from "../../pipeline/model/mod.ts";
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

/** One record that says several things: a delete whose keys have different timestamps. */
export interface EventList {
  readonly kind: "events";
  readonly events: readonly LogEvent[];
}

export type Decoded = LogEvent | TickMark | SkipMark | EventList;

export interface DecodeContext {
  readonly pchannel: string;
  /** Which vchannel a collection has on this pchannel, for the records that do not say. */
  readonly vchannels: VchannelBook;
}

export type RecordDecoder = (record: LogRecord, context: DecodeContext) => Decoded;
