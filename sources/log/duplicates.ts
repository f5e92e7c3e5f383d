/**
 * Recognises inserts and deletes that a producer wrote twice: its retries are not idempotent, so the same message can be
 * in the log again, also after a time tick. Milvus' own readers compare `base.msgID` within one pack.
 */
import type { DeleteEvent, InsertEvent } from "../../pipeline/model/mod.ts";

interface Seen {
  readonly ts: bigint;
  readonly bytes: number;
  readonly kind: "insert" | "delete";
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
  seen(event: InsertEvent | DeleteEvent): boolean {
    const { msgId, ts, bytes, kind, vchannel } = event;
    if (msgId === 0n) return false;
    const known = this.#now.get(msgId) ?? this.#before.get(msgId);
    // An id alone is not trusted with somebody's rows: the copy of a retry is the same to the byte.
    if (known !== undefined) {
      return known.ts === ts && known.bytes === bytes && known.kind === kind && known.vchannel === vchannel;
    }
    if (this.#now.size >= this.#generation) {
      this.#before = this.#now;
      this.#now = new Map();
    }
    this.#now.set(msgId, { ts, bytes, kind, vchannel });
    return false;
  }
}
