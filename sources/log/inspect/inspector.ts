/** Turns the records of several topics into lines, whoever reads them. */
import type { BlockEvent, HybridTs, LogEvent, LogRecord, Position, ResumePoint } from "../../../pipeline/model/mod.ts";
import type { Json } from "../../../pipeline/json.ts";
import { TidemarkError } from "../../../pipeline/errors.ts";
import { MsgType } from "../../../pipeline/proto/gen/common_pb.ts";
import { MessageType } from "../../../pipeline/proto/gen/messages_pb.ts";
import { decodeRecord } from "../decode.ts";
import type { DecodeContext, Decoded } from "../decoded.ts";
import { TickOrderer } from "../order.ts";
import { decodeReplicate, REPLICATE_SUFFIX } from "../replicate.ts";
import { VchannelBook } from "../vchannel_book.ts";
import { collectionNameOf } from "./collection_name.ts";
import { ddlLine, deleteLine, insertLine, type Line, replicateLine } from "./line.ts";
import { EventMerger, type MergedItem } from "./merge.ts";

export interface InspectorOptions {
  /** Replaces passwords, which the requests of clients carry in clear. Default: true. */
  readonly redact?: boolean;
  /** Where to begin, by topic: only what has a larger timestamp. Default: everything. */
  readonly from?: ReadonlyMap<string, ResumePoint>;
  /** A sentence on each record that leads to no line and should not be there in a healthy log. */
  readonly onNote?: (note: string) => void;
}

/** Types of generation 1 whose defects are somebody's rows; any other type on a pchannel is passed over by Milvus too. */
const ROWS_OF_GEN1: ReadonlySet<number> = new Set([MsgType.Insert, MsgType.Delete]);
const BEGINNING: ResumePoint = { offset: 0n, tick: 0n };

interface Channel {
  readonly orderer: TickOrderer;
  readonly context: DecodeContext;
}

export class LogInspector {
  readonly #options: InspectorOptions;
  readonly #channels = new Map<string, Channel>();
  readonly #merger = new EventMerger();
  readonly #requests: Line[] = [];
  #seq = 0;

  constructor(options: InspectorOptions = {}) {
    this.#options = options;
  }

  /** Takes the next record of its topic. */
  push(record: LogRecord): void {
    if (record.topic.endsWith(REPLICATE_SUFFIX)) return this.#pushRequest(record);
    let channel = this.#channels.get(record.topic);
    if (channel === undefined) {
      channel = {
        orderer: new TickOrderer(record.topic, this.#options.from?.get(record.topic) ?? BEGINNING),
        context: { pchannel: record.topic, vchannels: new VchannelBook() },
      };
      this.#channels.set(record.topic, channel);
    }
    const decoded = this.#wanted(named(decodeRecord(record, channel.context), record), record);
    const before = { ...channel.orderer.counts };
    const group = channel.orderer.push(record, decoded);
    const { counts } = channel.orderer;
    if (counts.late > before.late) this.#note(record, "came after a tick that had passed it");
    if (counts.discarded > before.discarded) {
      this.#note(record, "was discarded: its channel had another writer by then");
    }
    if (counts.duplicates > before.duplicates) this.#note(record, "is a copy of an earlier one");
    if (counts.staleTicks > before.staleTicks) this.#note(record, "is a time tick below an earlier one");
    for (const event of group?.events ?? []) this.#merger.push(event);
  }

  /** A tick that is no record: everything of up to `tick` was pushed, what is later lies at `place` or behind. */
  confirm(topic: string, tick: HybridTs, place: Position): void {
    const { events = [] } = this.#channels.get(topic)?.orderer.confirm(tick, place) ?? {};
    for (const event of events) this.#merger.push(event);
  }

  #wanted(decoded: Decoded, record: LogRecord): Decoded | undefined {
    if (decoded.kind === "skip" && decoded.reason !== "system") {
      this.#note(record, { empty: "has no value", no_base: "has no header", no_rows: "has no rows" }[decoded.reason]);
    }
    if (decoded.kind === "block" && decoded.generation === 1 && !ROWS_OF_GEN1.has(decoded.type)) {
      this.#note(record, `is no message of a channel: ${decoded.reason}`);
      return undefined;
    }
    // Written on clusters that are copies themselves; it says nothing of the content.
    if (decoded.kind === "ddl" && decoded.generation === 1 && decoded.operation === "replicate") return undefined;
    return decoded;
  }

  #pushRequest(record: LogRecord): void {
    try {
      const request = decodeReplicate(record);
      if (request === undefined) this.#note(record, "has no request");
      else this.#requests.push(replicateLine(request, this.#options.redact ?? true));
    } catch (thrown) {
      if (!(thrown instanceof TidemarkError)) throw thrown;
      this.#note(record, `is passed over: ${thrown.message}`);
    }
  }

  #note(record: LogRecord, what: string): void {
    this.#options.onNote?.(`Record ${record.offset} of ${record.topic} ${what}`);
  }

  /** The lines whose place is certain by now; all that are left with `final`. */
  *lines(final = false): Generator<Line> {
    for (const item of this.#merger.drain(final)) yield this.#numbered(this.#lineOf(item));
    for (const line of this.#requests.splice(0)) yield this.#numbered(line);
  }

  #numbered(line: Line): Line {
    return sortedKeys({ ...line, seq: ++this.#seq });
  }

  #lineOf(item: MergedItem): Line {
    if (item.kind === "ddl") return ddlLine(item.copies);
    const { event, channel } = item;
    switch (event.kind) {
      case "insert":
        return insertLine(event, nameOf(event));
      case "delete":
        return deleteLine(event, nameOf(event));
      case "block":
        return blockLine(event, channel);
    }
  }
}

/** Events do not carry their collection's name; the lines show it. */
interface Named {
  readonly collectionName?: string;
}

function named(decoded: Decoded, record: LogRecord): Decoded {
  const name = (event: LogEvent): LogEvent & Named => ({ ...event, collectionName: collectionNameOf(record.value!) });
  if (decoded.kind === "insert" || decoded.kind === "delete") return name(decoded);
  return decoded.kind === "events" ? { kind: "events", events: decoded.events.map(name) } : decoded;
}

function nameOf(event: LogEvent & Named): string {
  return event.collectionName ?? "";
}

function blockLine(event: BlockEvent, channel: string): Line {
  const names: Record<number, string> = event.generation === 1 ? MsgType : MessageType;
  return {
    channel,
    ...(event.collectionId === -1n || event.unreadable ? {} : { collection_id: String(event.collectionId) }),
    event: event.unreadable || names[event.type] === undefined ? "unknown" : "blocked",
    ...(event.generation === 1 ? { generation: 1 } : {}),
    must: `stop this channel here. ${event.reason}`,
    ts: String(event.ts),
    type: event.type,
  };
}

/** Keys in alphabetical order at every depth, so that two runs can be compared as text. */
function sortedKeys(line: Line): Line {
  const entries = Object.entries(line).toSorted(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
  return Object.fromEntries(entries.map(([key, value]) => [key, sortedValue(value)]));
}

function sortedValue(value: Json): Json {
  if (Array.isArray(value)) return value.map(sortedValue);
  return typeof value === "object" && value !== null ? sortedKeys(value) : value;
}
