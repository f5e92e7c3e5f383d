/**
 * Rows that a target refused, of one collection on one sink: at most one a key and partition, the newest. What a later
 * operation does to the key makes the row void: nothing is missing any more then. While a row stands here, the target has
 * of its key what was there before.
 */
import type { HybridTs, Keys, RefusedRowsStatus } from "../../model/mod.ts";

export interface RefusedRow {
  /** -1 where the key alone identifies a row. */
  readonly partitionId: bigint;
  /** Name, to write it to. */
  readonly partition: string;
  readonly key: bigint | string;
  /** Of the row on the source. */
  readonly ts: HybridTs;
  /** Where it was read: `pchannel@offset`, or segment and row. */
  readonly position: string;
  readonly reason: string;
  /** The row's columns, each a schema.FieldData in base64; empty where `file` has them. */
  readonly columns: readonly string[];
  /** Name of the file of dead letters that holds the row; empty for a row that is held. */
  readonly file: string;
  /** What was refused is the delete of the key: the target still has its row. It is held whatever becomes of rows. */
  readonly isDelete?: boolean;
}

/** Keys in a status. */
const SHOWN_KEYS = 5;

export class RefusedRows {
  readonly #rows = new Map<string, RefusedRow>();
  #bytes = 0;

  constructor(rows: Iterable<RefusedRow> = []) {
    for (const row of rows) this.set(row);
  }

  get size(): number {
    return this.#rows.size;
  }

  /** Of what the state itself keeps. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The oldest first. */
  [Symbol.iterator](): Iterator<RefusedRow> {
    return this.#rows.values();
  }

  get(partitionId: bigint, key: bigint | string): RefusedRow | undefined {
    return this.#rows.get(idOf(partitionId, key));
  }

  set(row: RefusedRow): void {
    this.delete(row);
    this.#rows.set(idOf(row.partitionId, row.key), row);
    this.#bytes += bytesOf(row);
  }

  delete({ partitionId, key }: Pick<RefusedRow, "partitionId" | "key">): void {
    const id = idOf(partitionId, key);
    const row = this.#rows.get(id);
    if (row === undefined) return;
    this.#bytes -= bytesOf(row);
    this.#rows.delete(id);
  }

  /** Something newer was written or deleted of these keys; `partitionId` undefined: in all partitions. */
  supersede(partitionId: bigint | undefined, keys: Keys): void {
    if (this.#rows.size === 0) return;
    const touched = new Set<bigint | string>(keys.values);
    for (const row of [...this.#rows.values()]) {
      const here = partitionId === undefined || row.partitionId === -1n || row.partitionId === partitionId;
      if (here && touched.has(row.key)) this.delete(row);
    }
  }

  /** The partition is gone. */
  leavePartition(partitionId: bigint): void {
    for (const row of [...this.#rows.values()]) if (row.partitionId === partitionId) this.delete(row);
  }

  /** Undefined where there are none. */
  status(): RefusedRowsStatus | undefined {
    if (this.#rows.size === 0) return undefined;
    let deadLetters = 0;
    for (const { file } of this.#rows.values()) if (file !== "") deadLetters++;
    const first = [...this.#rows.values().take(SHOWN_KEYS)];
    return {
      held: this.#rows.size - deadLetters,
      deadLetters,
      keys: first.map(({ key }) => keyText(key)),
      reason: first[0]!.reason,
    };
  }

  clear(): void {
    this.#rows.clear();
    this.#bytes = 0;
  }
}

function idOf(partitionId: bigint, key: bigint | string): string {
  return `${partitionId}/${typeof key === "string" ? "t" : "i"}${key}`;
}

function bytesOf({ columns }: RefusedRow): number {
  return columns.reduce((sum, { length }) => sum + length, 0);
}

/** More than this of a key is not shown. */
const SHOWN_KEY = 48;

/** A key as messages show it: never the whole of a long one. */
export function keyText(key: bigint | string): string {
  if (typeof key === "bigint") return key.toString();
  if (key.length <= SHOWN_KEY) return JSON.stringify(key);
  return `${JSON.stringify(key.slice(0, SHOWN_KEY))}… (${new TextEncoder().encode(key).length} bytes)`;
}
