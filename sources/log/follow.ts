/** A pchannel as ordered groups: fetch, decode, select, order, with the bytes that it holds counted by a gate. */
import type {
  CreditGate,
  HybridTs,
  LogEvent,
  LogRecord,
  LogSource,
  ResumePoint,
  TickGroup,
} from "../../pipeline/model/mod.ts";
import { decodeRecord } from "./decode.ts";
import type { DecodeContext, Decoded, RecordDecoder, SkipReason } from "./decoded.ts";
import { type OrderCounts, TickOrderer } from "./order.ts";
import { recall } from "./recall.ts";
import { VchannelBook } from "./vchannel_book.ts";

export interface FollowOptions {
  readonly pchannel: string;
  readonly from: ResumePoint;
  /** Whoever reads has everything up to this tick, though groups of before are wanted, too. Default: the resume point's. */
  readonly passed?: HybridTs;
  /** Identity that the topic must have; undefined accepts any. */
  readonly topicId: string | undefined;
  /** False for events that nobody wants: their bytes are let go at once. Default: all. */
  readonly select?: (event: LogEvent) => boolean;
  readonly gate?: CreditGate;
  /** Inserts of rows may be left out, unread. */
  readonly withoutInserts?: boolean;
  /** Hand out every raw record with the groups, for an archive. */
  readonly records?: boolean;
  /** The vchannel of a collection on this pchannel, for drops of generation 1, which do not say. */
  readonly vchannelOf?: (collectionId: bigint) => string | undefined;
  /** Told whenever something was counted that should not be in a healthy log. */
  readonly onOddity?: (oddity: LogOddity) => void;
  readonly decode?: RecordDecoder;
  /**
   * Everything up to this is in the log by now, as somebody knows who has seen ticks that were never written. It counts as a
   * tick where the log ends.
   */
  readonly promised?: HybridTs;
  /** Told before what a fetch brought is handed out, where the topic's identity moves on with it. */
  readonly identify?: (topicId: string) => void;
  /** Monotonic ms. */
  readonly now?: () => number;
}

/** `skipped`: a record without value or header, which Milvus skips as well. The others are of {@link OrderCounts}. */
export interface LogOddity {
  readonly pchannel: string;
  readonly kind: "late" | "discarded" | "staleTicks" | "duplicates" | "skipped";
  /** Offset of the record. */
  readonly offset: bigint;
  /** Last tick before it. */
  readonly tick: HybridTs;
}

/**
 * Groups of `options.pchannel` from the resume point on, for ever; one that only says that the log ends (`end`) for each fetch
 * that brings nothing. Throws what {@link LogSource.tail} throws. Whoever ends
 * the iteration gets no credit back to give: what is buffered and not handed out is given back here.
 */
export async function* followPchannel(
  log: LogSource,
  options: FollowOptions,
  signal: AbortSignal,
): AsyncGenerator<TickGroup, void, void> {
  const { pchannel, from, gate } = options;
  const orderer = new TickOrderer(pchannel, from, {
    records: options.records ?? false,
    passed: options.passed ?? from.tick,
  });
  const context: DecodeContext = { pchannel, queue: log.queue, vchannels: new VchannelBook(options.vchannelOf) };
  const read = reader(options, context);
  const seen = { ...orderer.counts };
  let taken = 0;
  /** Since when the log ends where it does. */
  let stands: number | undefined;
  let recalled = false;
  try {
    const { topicId, withoutInserts = false, promised, now = () => performance.now() } = options;
    for await (const page of log.tail(pchannel, from.offset, topicId, signal, { withoutInserts })) {
      const { records, highWatermark, next, complete, confirmed, resume = next } = page;
      const bytes = records.reduce((sum, record) => sum + (record.value?.length ?? 0), 0);
      if (gate !== undefined && bytes > 0) await gate.take(bytes, signal);
      taken += bytes;
      if (page.topicId !== undefined) options.identify?.(page.topicId);
      const decoded = read(records);
      // Bytes of this fetch that are still to be looked at.
      let ahead = bytes;
      for (let i = 0; i < records.length; i++) {
        const record = records[i]!;
        ahead -= record.value?.length ?? 0;
        if (!recalled && orderer.isLate(decoded[i])) {
          recalled = true;
          const { decode = decodeRecord } = options;
          const before = { pchannel, from, topicId, decode, context };
          for await (const event of recall(log, before, signal)) orderer.remember(event);
        }
        const group = orderer.push(record, decoded[i]);
        if (options.onOddity !== undefined) report(options.onOddity, orderer, seen, record);
        if (group === undefined) continue;
        const idle = taken - group.bytes - orderer.heldBytes - ahead;
        if (idle > 0) gate?.give(idle);
        taken -= idle + group.bytes;
        yield group;
      }
      const idle = taken - orderer.heldBytes;
      if (idle > 0) gate?.give(idle);
      taken -= idle;
      const told = confirmed !== undefined && confirmed > orderer.tick ? orderer.confirm(confirmed, resume) : undefined;
      if (told !== undefined) {
        taken -= told.bytes;
        yield told;
      }
      if (next < highWatermark) continue;
      const group = promised !== undefined && promised > orderer.tick ? orderer.promise(promised, next) : undefined;
      if (group !== undefined) {
        taken -= group.bytes;
        yield group;
      }
      if (records.length > 0) {
        stands = undefined;
        continue;
      }
      stands ??= now();
      yield orderer.atEnd({ offset: next, sinceMs: now() - stands, complete });
    }
  } finally {
    if (taken > 0) gate?.give(taken);
  }
}

/** Decodes a fetch. Views of a few wanted events would keep the whole response in memory: those are copied. */
function reader(
  options: FollowOptions,
  context: DecodeContext,
): (records: readonly LogRecord[]) => (Decoded | undefined)[] {
  const { select, decode = decodeRecord, onOddity, pchannel } = options;
  return (records) => {
    let bytes = 0;
    let wanted = 0;
    const decoded = records.map((record) => {
      bytes += record.value?.length ?? 0;
      const said = decode(record, context);
      if (said.kind === "skip" && isOdd(said.reason)) {
        onOddity?.({ pchannel, kind: "skipped", offset: record.offset, tick: 0n });
      }
      const kept = select === undefined ? said : selected(said, select);
      if (kept !== undefined && HOLDS.has(kept.kind)) wanted += record.value?.length ?? 0;
      return kept;
    });
    if (options.records || wanted * 2 >= bytes) return decoded;
    return decoded.map((said) => said?.kind === "insert" ? detached(said) : said);
  };
}

const HOLDS: ReadonlySet<Decoded["kind"]> = new Set(["insert", "delete", "ddl", "block", "events"]);

function isOdd(reason: SkipReason): boolean {
  return reason === "empty" || reason === "no_base";
}

function selected(said: Decoded, select: (event: LogEvent) => boolean): Decoded | undefined {
  switch (said.kind) {
    case "tick":
    case "txn":
    case "skip":
      return said;
    case "events": {
      const events = said.events.filter(select);
      return events.length === 0 ? undefined : { kind: "events", events };
    }
    default:
      return select(said) ? said : undefined;
  }
}

/** The same event on memory of its own. */
function detached(event: Extract<LogEvent, { kind: "insert" }>): LogEvent {
  return { ...event, fieldsData: event.fieldsData.map((column) => column.slice()) };
}

/** Tells what the last record added to the counts, and notes them in `seen`. */
function report(
  onOddity: (oddity: LogOddity) => void,
  orderer: TickOrderer,
  seen: OrderCounts,
  record: LogRecord,
): void {
  const { counts, pchannel, tick } = orderer;
  for (const kind of ["late", "discarded", "duplicates", "staleTicks"] as const) {
    if (counts[kind] === seen[kind]) continue;
    seen[kind] = counts[kind];
    onOddity({ pchannel, kind, offset: record.offset, tick });
  }
}
