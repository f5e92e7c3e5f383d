/**
 * The order of a pchannel. Between two time ticks records are in any order, because several proxies write at once; a tick T
 * promises that everything with ts <= T is in the log before it. So events are buffered, and each tick releases those with
 * ts <= T sorted by (ts, delete before insert, offset): an upsert's insert is written before its delete, at one ts.
 *
 * The place to start again is the oldest event still buffered, or the tick's own record. The tick is read again on purpose:
 * what comes before it with ts <= tick was released, what comes after it with such a ts is late and was not.
 */
import type {
  HybridTs,
  LogEnd,
  LogEvent,
  LogRecord,
  Position,
  ResumePoint,
  TickGroup,
} from "../../pipeline/model/mod.ts";
import type { Decoded, TxnMark } from "./decoded.ts";
import { Duplicates } from "./duplicates.ts";
import { TxnBuffer } from "./txn_buffer.ts";

/** What was unusual; each counts events or ticks. */
export interface OrderCounts {
  /** Released before: at or below the tick of the resume point. */
  suppressed: number;
  /** Written twice by a producer. */
  duplicates: number;
  /** Generation 1: came after a tick that promised that nothing of the kind would come; released with the next one. */
  late: number;
  /** Behind a tick of generation 2 that had passed them, by a node that lost the channel. Milvus discards them too. */
  discarded: number;
  /** Ticks below an earlier tick. */
  staleTicks: number;
}

export interface TickOrdererOptions {
  /** Keep the raw records and hand them out with the groups. */
  readonly records?: boolean;
  /**
   * Whoever reads has everything up to this tick, whose record may lie before the resume point: of groups below the resume
   * point's tick none is handed out, of those below this one all.
   */
  readonly passed?: HybridTs;
}

const NO_RECORDS: readonly LogRecord[] = [];

/** An event or a step of a transaction, as it waits for its tick. */
type Waiting = LogEvent | TxnMark;

export class TickOrderer {
  readonly counts: OrderCounts = { suppressed: 0, duplicates: 0, late: 0, discarded: 0, staleTicks: 0 };
  readonly pchannel: string;
  readonly #from: ResumePoint;
  readonly #keepRecords: boolean;
  readonly #passed: HybridTs;
  readonly #duplicates = new Duplicates();
  readonly #txns = new TxnBuffer();
  /** The last tick read; 0 before the first. */
  #tick: HybridTs = 0n;
  /** Its record; before the first, where reading began. `open`: where nothing waits, the log can be read on from its end. */
  #last: { readonly offset: Position; readonly open: boolean };
  /** A tick of generation 2 was read: from there on the reader of that generation decides, about records of both. */
  #streaming = false;
  /** Ticks are told from outside, and a transaction comes as a whole, later than the ticks of its parts. */
  #told = false;
  /** True behind the first tick at or above the resume point's. */
  #caughtUp = false;
  /** In the order of the log. */
  #open: Waiting[] = [];
  #records: LogRecord[] = [];
  #heldBytes = 0;

  constructor(pchannel: string, from: ResumePoint, options: TickOrdererOptions = {}) {
    this.pchannel = pchannel;
    this.#from = from;
    this.#last = { offset: from.offset, open: false };
    this.#keepRecords = options.records ?? false;
    this.#passed = options.passed ?? from.tick;
  }

  /** Bytes of the values that are kept and not in any group yet. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Events that wait for a tick. */
  get buffered(): number {
    return this.#open.length;
  }

  /** The last tick read, or the resume point's. */
  get tick(): HybridTs {
    return this.#tick > this.#from.tick ? this.#tick : this.#from.tick;
  }

  /**
   * Whether it can only be told from what lies before the resume point if this is new: it is old, and comes where all that is as
   * old should have been read.
   */
  isLate(decoded: Decoded | undefined): boolean {
    if (!this.#caughtUp || decoded === undefined) return false;
    const isOld = (event: Decoded) =>
      (event.kind === "insert" || event.kind === "delete") && event.generation === 1 && event.ts <= this.#from.tick;
    return decoded.kind === "events" ? decoded.events.some(isOld) : isOld(decoded);
  }

  /** Takes it that this was read before the resume point. */
  remember(event: LogEvent): void {
    this.#duplicates.seen(event);
  }

  /**
   * Takes the next record of the log with what it says; `undefined` for one that nobody wants. Returns the group where it
   * is a tick at or above the resume point's. Whether the record's value is kept shows in {@link heldBytes}.
   */
  push(record: LogRecord, decoded: Decoded | undefined): TickGroup | undefined {
    if (this.#keepRecords) {
      this.#records.push(record);
      this.#heldBytes += record.value?.length ?? 0;
    }
    if (decoded === undefined) return undefined;
    switch (decoded.kind) {
      case "skip":
        return undefined;
      case "tick":
        if (decoded.ts >= this.#tick) {
          this.#streaming ||= decoded.generation === 2;
          this.#last = { offset: record.offset, open: decoded.generation === 2 };
        }
        return this.#release(record.offset, decoded.ts);
      case "events":
        for (const event of decoded.events) this.#add(event);
        return undefined;
      case "txn":
        if (decoded.ts >= this.#tick || this.#told) this.#open.push(decoded);
        return undefined;
      default:
        this.#add(decoded);
        return undefined;
    }
  }

  /**
   * Takes it that everything up to `tick` is in the log before `offset`, which is where the log ends: somebody else promises it
   * who has seen ticks that were never written. Returns what {@link push} returns for a tick.
   */
  promise(tick: HybridTs, offset: Position): TickGroup | undefined {
    return this.#release(offset, tick);
  }

  /**
   * A tick that is no record: everything of up to `tick` was read, and what is later lies at `offset` or behind. Returns what
   * {@link push} returns for a tick.
   */
  confirm(tick: HybridTs, offset: Position): TickGroup | undefined {
    this.#told = true;
    if (tick >= this.#tick) this.#last = { offset, open: false };
    return this.#release(offset, tick);
  }

  /**
   * The log ends at `offset`, and that is all that is new. Where nothing waits, the log of generation 2 can be read on from
   * there: what came later with a timestamp of before the last tick would be discarded.
   */
  atEnd({ offset, sinceMs, complete }: Omit<LogEnd, "waiting">): TickGroup {
    this.#discardPassed();
    let waiting: HybridTs | undefined;
    for (const { ts } of this.#open) {
      if (ts > this.#from.tick && (waiting === undefined || ts < waiting)) waiting = ts;
    }
    const last = this.#last;
    const resume = this.#resume(last.open ? offset : last.offset, this.tick);
    const end = { offset, sinceMs, waiting, complete };
    return { pchannel: this.pchannel, tick: this.tick, events: [], records: NO_RECORDS, resume, bytes: 0, end };
  }

  #add(event: LogEvent): void {
    // A record whose time nobody knows counts as the next thing that happened, so that no resume point passes it.
    if (event.kind === "block" && event.ts === 0n) {
      const { tick } = this;
      event = { ...event, ts: (tick > this.#passed ? tick : this.#passed) + 1n };
    }
    const late = event.ts < this.#tick && (event.generation === 2 || this.#streaming);
    if (late && !(this.#told && event.txnId !== undefined)) {
      // Written by a node that no longer owns the channel, or that is older than the cluster: Milvus itself discards it.
      this.counts.discarded++;
      return;
    }
    if (this.#duplicates.seen(event)) {
      this.counts.duplicates++;
      return;
    }
    if (event.generation === 1 && event.ts <= this.#tick && this.#caughtUp) this.counts.late++;
    this.#open.push(event);
    if (!this.#keepRecords) this.#heldBytes += event.bytes;
  }

  /**
   * Reading began behind the tick that was passed if there is none up to the log's end. Then what is older came too late, as it
   * would have without the restart in between. Not what belongs to a transaction: it counts with its commit, which may follow.
   */
  #discardPassed(): void {
    if (this.#told || this.#tick >= this.#passed) return;
    const kept: Waiting[] = [];
    for (const item of this.#open) {
      if (item.ts >= this.#passed || item.kind === "txn" || item.txnId !== undefined || item.generation === 1) {
        kept.push(item);
        continue;
      }
      this.counts.discarded++;
      if (!this.#keepRecords) this.#heldBytes -= item.bytes;
    }
    if (kept.length === this.#open.length) return;
    this.#open = kept;
    this.#last = { offset: this.#last.offset, open: true };
  }

  #release(offset: Position, tick: HybridTs): TickGroup | undefined {
    if (tick < this.#tick) {
      this.counts.staleTicks++;
      return undefined;
    }
    this.#tick = tick;
    let due = this.#open;
    let kept: Waiting[] = [];
    if (due.some((item) => item.ts > tick)) {
      kept = due.filter((item) => item.ts > tick);
      due = due.filter((item) => item.ts <= tick);
    }
    this.#open = kept;
    let events = this.#settle(sorted(due), tick);
    const keptBytes = kept.reduce((sum, item) => sum + (item.kind === "txn" ? 0 : item.bytes), this.#txns.bytes);
    const bytes = this.#heldBytes - keptBytes;
    if (!this.#caughtUp) {
      const all = events.length;
      events = events.filter((event) => event.ts > this.#from.tick);
      this.counts.suppressed += all - events.length;
      if (tick < this.#from.tick) {
        if (!this.#keepRecords) this.#heldBytes = keptBytes;
        return undefined;
      }
      this.#caughtUp = true;
    }
    this.#heldBytes = keptBytes;
    const records = this.#keepRecords ? this.#records : NO_RECORDS;
    if (this.#keepRecords) this.#records = [];
    return { pchannel: this.pchannel, tick, events, records, resume: this.#resume(offset, tick), bytes };
  }

  /** Replaces transactions by what their commits release. `due` is in order, and so is the result. */
  #settle(due: readonly Waiting[], tick: HybridTs): LogEvent[] {
    const events: LogEvent[] = [];
    for (const item of due) {
      if (item.kind === "txn") events.push(...this.#txns.step(item));
      else if (item.txnId === undefined) events.push(item);
      else this.#txns.body(item);
    }
    this.#txns.expire(tick);
    return events;
  }

  #resume(offset: Position, tick: HybridTs): ResumePoint {
    const waiting = this.#open[0]?.offset;
    const txn = this.#txns.oldest;
    if (waiting !== undefined && waiting < offset) offset = waiting;
    if (txn !== undefined && txn < offset) offset = txn;
    return { offset, tick };
  }
}

/** Sorts in place, unless it is in order already, as most of it is. */
function sorted<Item extends Waiting>(events: Item[]): Item[] {
  for (let i = 1; i < events.length; i++) {
    if (before(events[i - 1]!, events[i]!) > 0) return events.sort(before);
  }
  return events;
}

/** The order in which events are applied. */
export function before(a: LogEvent | TxnMark, b: LogEvent | TxnMark): number {
  if (a.ts !== b.ts) return a.ts < b.ts ? -1 : 1;
  const rank = rankOf(a) - rankOf(b);
  if (rank !== 0) return rank;
  return a.offset < b.offset ? -1 : a.offset > b.offset ? 1 : 0;
}

/** At one timestamp: what makes comes first, what destroys last, and what blocks before the rows it may concern. */
function rankOf(event: LogEvent | TxnMark): number {
  switch (event.kind) {
    case "txn":
      return event.step === "begin" ? 0 : 4;
    case "block":
      return 1;
    case "delete":
      return 2;
    case "insert":
      return 3;
    case "ddl":
      return event.operation === "create_collection" || event.operation === "create_partition" ? 0 : 4;
  }
}
