/**
 * Transactions of generation 2 on one pchannel: bodies wait for their commit and then count with its time tick. Runs behind
 * the reordering, so steps come in the order of their time ticks. A body or commit of an unknown transaction is nothing: it
 * belongs to one that was finished, rolled back or had expired.
 */
import type { HybridTs, LogEvent } from "../../pipeline/model/mod.ts";
import type { TxnMark } from "./decoded.ts";

interface Open {
  /** Smallest offset of its records. */
  offset: bigint;
  /** Time tick of its last record but the commit. */
  last: HybridTs;
  readonly keepaliveMs: bigint;
  readonly bodies: LogEvent[];
}

const LOGICAL_BITS = 18n;

export class TxnBuffer {
  readonly #open = new Map<bigint, Open>();

  /** Bytes of bodies that wait. */
  get bytes(): number {
    let sum = 0;
    for (const { bodies } of this.#open.values()) for (const { bytes } of bodies) sum += bytes;
    return sum;
  }

  /** Offset of the oldest record of an open transaction. */
  get oldest(): bigint | undefined {
    let oldest: bigint | undefined;
    for (const { offset } of this.#open.values()) if (oldest === undefined || offset < oldest) oldest = offset;
    return oldest;
  }

  /** Takes a body. Returns false if its transaction is not open. */
  body(event: LogEvent): boolean {
    const txn = this.#open.get(event.txnId!);
    if (txn === undefined) return false;
    txn.bodies.push(event);
    txn.last = event.ts;
    if (event.offset < txn.offset) txn.offset = event.offset;
    return true;
  }

  /** Takes a step. Returns what a commit releases: the bodies in the order of their time ticks, with the commit's. */
  step(mark: TxnMark): LogEvent[] {
    const { txnId, ts, offset, keepaliveMs } = mark;
    if (mark.step === "begin") {
      if (!this.#open.has(txnId)) this.#open.set(txnId, { offset, last: ts, keepaliveMs, bodies: [] });
      return [];
    }
    const txn = this.#open.get(txnId);
    this.#open.delete(txnId);
    if (txn === undefined || mark.step === "rollback") return [];
    // An upsert's delete and insert get one timestamp here: the delete goes first. What nobody can read stops them all.
    const blocks = txn.bodies.filter((event) => event.kind === "block");
    const deletes = txn.bodies.filter((event) => event.kind === "delete");
    const others = txn.bodies.filter((event) => event.kind !== "delete" && event.kind !== "block");
    return [...blocks, ...deletes, ...others].map((event) => ({ ...event, ts }));
  }

  /** Forgets transactions that had no sign of life until `tick`; their commit would be refused. */
  expire(tick: HybridTs): void {
    for (const [txnId, { last, keepaliveMs }] of this.#open) {
      // Zero or less: for ever.
      if (keepaliveMs > 0n && last + (keepaliveMs << LOGICAL_BITS) <= tick) this.#open.delete(txnId);
    }
  }
}
