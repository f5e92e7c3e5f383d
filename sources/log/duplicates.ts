/**
 * Recognises what a producer wrote twice: its retries are not idempotent, so the same message can be in the log again, also
 * after a time tick. Generation 1 gives each insert and delete an id (its own readers compare it within one pack), in
 * generation 2 the time tick itself is unique on a pchannel.
 */
import type { LogEvent } from "../../pipeline/model/mod.ts";

interface Seen {
  readonly ts: bigint;
  readonly bytes: number;
  readonly kind: LogEvent["kind"];
  readonly vchannel: string;
}

/** By generation, then by id. */
type Remembered = [Map<bigint, Seen>, Map<bigint, Seen>];

/** Messages of a generation that are remembered: between one and two times as many. */
const MOST = 32_768;

export class Duplicates {
  readonly #most: number;
  /** Ids of generation 1 and time ticks are from one range of numbers: a topic that saw an upgrade has both. */
  #now: Remembered = [new Map(), new Map()];
  #before: Remembered = [new Map(), new Map()];

  constructor(most = MOST) {
    this.#most = most;
  }

  /** True if the same message was here before; remembers it otherwise. Messages without an id are never the same. */
  seen(event: LogEvent): boolean {
    const { ts, bytes, kind, vchannel, generation } = event;
    const id = generation === 2 ? ts : kind === "insert" || kind === "delete" ? event.msgId : 0n;
    if (id === 0n) return false;
    const now = this.#now[generation - 1]!;
    const known = now.get(id) ?? this.#before[generation - 1]!.get(id);
    // An id alone is not trusted with somebody's rows: the copy of a retry is the same to the byte.
    if (known !== undefined) {
      return known.ts === ts && known.bytes === bytes && known.kind === kind && known.vchannel === vchannel;
    }
    now.set(id, { ts, bytes, kind, vchannel });
    if (now.size >= this.#most) {
      this.#before[generation - 1] = now;
      this.#now[generation - 1] = new Map();
    }
    return false;
  }
}
