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

/** Messages remembered: between one and two times as many. */
const GENERATION = 32_768;

export class Duplicates {
  readonly #generation: number;
  #now = new Map<bigint, Seen>();
  #before = new Map<bigint, Seen>();

  constructor(generation = GENERATION) {
    this.#generation = generation;
  }

  /** True if the same message was here before; remembers it otherwise. Messages without an id are never the same. */
  seen(event: LogEvent): boolean {
    const { ts, bytes, kind, vchannel } = event;
    const id = event.generation === 2 ? ts : kind === "insert" || kind === "delete" ? event.msgId : 0n;
    if (id === 0n) return false;
    const known = this.#now.get(id) ?? this.#before.get(id);
    // An id alone is not trusted with somebody's rows: the copy of a retry is the same to the byte.
    if (known !== undefined) {
      return known.ts === ts && known.bytes === bytes && known.kind === kind && known.vchannel === vchannel;
    }
    if (this.#now.size >= this.#generation) {
      this.#before = this.#now;
      this.#now = new Map();
    }
    this.#now.set(id, { ts, bytes, kind, vchannel });
    return false;
  }
}
