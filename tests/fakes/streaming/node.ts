/**
 * The streaming nodes of a model cluster: messages get their times one after the other and are appended in whatever order;
 * a tick comes only where there is something to confirm; retries of the producer write a message twice, and a node that has lost
 * its channel to a later term still writes, too late. What it decides by chance comes from a seed.
 */
import type { HybridTs, LogRecord } from "../../../pipeline/model/mod.ts";
import type { FakeLog } from "../log.ts";
import type { Action, Asked, MessageBuilder, Stamp } from "./action.ts";

/** What is asked of a node, with the time that it got. */
export type Timed = Asked & Pick<Stamp, "vchannel" | "tt" | "txn">;

interface Channel {
  term: bigint;
  tick: { readonly offset: bigint; readonly tt: HybridTs };
  /** Of records that are later than the last tick: the smallest offset counts for the last confirmed one. */
  ahead: { readonly offset: bigint; readonly tt: HybridTs }[];
  /** Have their time, and are not in the log yet. */
  held: Timed[];
  /** Where transactions begin that are still open. */
  readonly open: Map<bigint, bigint>;
  /** Something waits for a tick. */
  dirty: boolean;
  inserted: Extract<Timed, { readonly kind: "insert" }> | undefined;
  /** The last that was appended. */
  last: Omit<LogRecord, "topic" | "offset" | "timestampMs"> | undefined;
}

const text = new TextEncoder();

export class StreamingNodes {
  readonly #log: FakeLog;
  readonly #build: MessageBuilder;
  readonly #chance: (of: number) => boolean;
  readonly #channels = new Map<string, Channel>();

  /** `chance` says yes once in so many times. */
  constructor(log: FakeLog, build: MessageBuilder, chance: (of: number) => boolean) {
    this.#log = log;
    this.#build = build;
    this.#chance = chance;
  }

  /** A node takes the pchannel, from an earlier one where there was any. */
  open(pchannel: string, tt: HybridTs): void {
    const own = this.#channels.get(pchannel);
    if (own !== undefined) this.settle(pchannel);
    const next: Channel = {
      term: (own?.term ?? 1n) + 1n,
      tick: { offset: 0n, tt },
      ahead: [],
      held: [],
      open: own?.open ?? new Map(),
      dirty: false,
      inserted: undefined,
      last: undefined,
    };
    const confirmed = own === undefined ? {} : { confirmed: this.#confirmed(own) };
    // The tick that opens a log has no term.
    const offset = this.#put(pchannel, { kind: "tick", vchannel: "", tt, ...confirmed });
    this.#channels.set(pchannel, { ...next, tick: { offset, tt } });
    if (own?.inserted !== undefined) this.#writeLate(pchannel, own, own.inserted);
  }

  /** The node that had the channel writes on, of a time that has passed: nobody ever sees it. */
  #writeLate(pchannel: string, { term }: Channel, inserted: Extract<Timed, { readonly kind: "insert" }>): void {
    const { txn: _txn, ...alone } = inserted;
    const rows = inserted.rows.map(([key]) => [key, -1n] as const);
    this.#put(pchannel, { ...alone, rows, tt: inserted.tt + 1n, term, confirmed: 0n });
  }

  /** A message; it may come to lie behind later ones. */
  write(pchannel: string, timed: Timed): void {
    const own = this.#channel(pchannel);
    own.held.push(timed);
    own.dirty = true;
    while (own.held.length > 0 && !this.#chance(3)) this.#appendOne(pchannel, own);
  }

  /** A message before which everything else is in the log, and that is there at once. Returns its offset. */
  writeAlone(pchannel: string, timed: Timed): bigint {
    this.settle(pchannel);
    const own = this.#channel(pchannel);
    own.dirty = true;
    return this.#append(pchannel, own, timed);
  }

  /** Everything that has its time is in the log. */
  settle(pchannel: string): void {
    const own = this.#channel(pchannel);
    while (own.held.length > 0) this.#appendOne(pchannel, own);
  }

  /** From here on a reader misses nothing that is later than all that is in the log. */
  safe(pchannel: string): bigint {
    this.settle(pchannel);
    return this.#confirmed(this.#channel(pchannel));
  }

  /** Confirms what was written since the last tick, where anything was. */
  tick(pchannel: string, tt: HybridTs): void {
    const own = this.#channel(pchannel);
    if (!own.dirty) return;
    this.settle(pchannel);
    own.dirty = false;
    const { term } = own;
    const offset = this.#put(pchannel, { kind: "tick", vchannel: "", tt, term, confirmed: this.#confirmed(own) });
    own.ahead = own.ahead.filter((one) => one.tt > tt);
    own.tick = { offset, tt };
  }

  #appendOne(pchannel: string, own: Channel): void {
    // A transaction's steps keep their order, its bodies do not; nor does anything else.
    const at = this.#chance(2) ? own.held.length - 1 : 0;
    const isStep = ({ kind }: Timed) => kind === "begin" || kind === "commit" || kind === "rollback";
    const { txn } = own.held[at]!;
    const early = txn !== undefined && own.held.slice(0, at).some((one) => one.txn === txn && isStep(one));
    const ends = txn !== undefined && isStep(own.held[at]!) && own.held.slice(0, at).some((one) => one.txn === txn);
    const [timed] = own.held.splice(early || ends ? 0 : at, 1);
    this.#append(pchannel, own, timed!);
  }

  #append(pchannel: string, own: Channel, timed: Timed): bigint {
    const offset = this.#put(pchannel, { ...timed, term: own.term, confirmed: this.#confirmed(own) });
    own.ahead.push({ offset, tt: timed.tt });
    if (timed.kind === "insert") own.inserted = timed;
    if (timed.kind === "begin") own.open.set(timed.txn!, offset);
    if (timed.kind === "commit" || timed.kind === "rollback") own.open.delete(timed.txn!);
    return offset;
  }

  #put(pchannel: string, action: Action): bigint {
    const { properties, value } = this.#build(action);
    const headers = Object.entries(properties).map(([name, its]) => [name, text.encode(its)] as const);
    const offset = this.#log.append(pchannel, [{ value, headers }]);
    const own = this.#channels.get(pchannel);
    if (own !== undefined && action.kind !== "tick") {
      own.last = { value, headers };
      if (this.#chance(12)) return this.#writeAgain(pchannel, own.last);
    }
    return offset;
  }

  #writeAgain(pchannel: string, { value, headers }: NonNullable<Channel["last"]>): bigint {
    return this.#log.append(pchannel, [{ value, headers }]);
  }

  #confirmed({ tick, open, ahead }: Channel): bigint {
    let least = tick.offset;
    for (const offset of open.values()) if (offset < least) least = offset;
    for (const { offset } of ahead) if (offset < least) least = offset;
    return least;
  }

  #channel(pchannel: string): Channel {
    const own = this.#channels.get(pchannel);
    if (own === undefined) throw new Error(`No node has ${pchannel}`);
    return own;
  }
}
