/** A place in a log. */

/**
 * Ordered as numbers are, so that the flow compares and stores it; what it means only its queue knows. A later record of a
 * topic has a larger one, not always the next. Its text and the bytes that Milvus writes for it are made and read by the
 * queue's own {@link PositionForms}.
 */
export type Position = bigint;

/** The queues that Milvus writes its log to; `files`: none of them is read, and there are no places. */
export type Queue = "kafka" | "rocksmq" | "pulsar" | "woodpecker" | "files";

/** How a queue writes the places of its logs. */
export interface PositionForms {
  readonly queue: Queue;
  /** For states, archives, `status` and `inspect`. */
  format(position: Position): string;
  /** Undefined for a text that is none of this queue. */
  parse(text: string): Position | undefined;
  /** Of the bytes that Milvus keeps in its metadata and in records. Undefined for those of another queue. */
  fromMilvus(id: Uint8Array): Position | undefined;
  toMilvus(position: Position): Uint8Array;
  /** Records between two places, where the queue counts them. */
  distance(from: Position, to: Position): bigint | undefined;
  /** A place of a record at least `records` before, where the queue counts them that far. */
  back(position: Position, records: bigint): Position | undefined;
}

/**
 * The place behind a record, from which everything later is read: no record lies between the two.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { after } from "./position.ts";
 *
 * assert.equal(after(41n), 42n);
 * ```
 */
export function after(position: Position): Position {
  return position + 1n;
}

/**
 * The inverse of {@link after}: everything later than it begins with the record at `position`. It need not be the place of a
 * record.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { after, before } from "./position.ts";
 *
 * assert.equal(before(42n), 41n);
 * assert.equal(after(before(42n)), 42n);
 * ```
 */
export function before(position: Position): Position {
  return position - 1n;
}
