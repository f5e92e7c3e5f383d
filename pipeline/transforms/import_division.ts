/**
 * Which rows of a segment a bulk import may bring, so that together with rows written one by one the base is exact. The import
 * takes the insert files as they are; it knows an end (whole milliseconds) and deletes (key, ts), each of which leaves out the rows
 * of its key with a smaller ts. So the deletes that it is given are made from the rows that are dead, whatever killed them,
 * and what these two means cannot tell apart is left out of the import as well and written afterwards:
 *
 * - rows between the last whole millisecond before the cut and the cut;
 * - of two rows with one key and one ts (one request that named a key twice) the one that counts.
 */
import type { DeleteMark, HybridTs, Keys } from "../model/mod.ts";
import type { DeadSegment } from "./dead_rows.ts";

export interface KeyedRows {
  /** Index of the first row in its segment. */
  readonly firstRow: number;
  readonly keys: Keys;
  readonly timestamps: BigUint64Array;
}

export interface DivisionOptions {
  readonly cutTs: HybridTs;
  readonly partitionId: bigint;
  /** Rows of the segment, dead ones included. */
  readonly rows: number;
  /** Later than the cut, deleted, superseded. */
  readonly dead: DeadSegment;
  /** Reads keys and timestamps from the beginning. Called only where some row is dead. */
  readonly read: () => AsyncIterable<KeyedRows>;
  /** More deletes than this are not worth it. */
  readonly maxDeletes: number;
}

export interface Division {
  /** Unix ms; undefined: the import needs no end. */
  readonly endMs: bigint | undefined;
  /** Each with a ts within the end; undefined if there is none. */
  readonly deletes: DeleteMark | undefined;
  /** Rows that the import brings. */
  readonly imported: number;
  /** Rows that must be written one by one, by index, ascending. */
  readonly rest: Uint32Array;
}

const LOGICAL_BITS = 18n;

/**
 * The division, or why the segment is better written row by row (the rest of a sentence).
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { DeadRows } from "./dead_rows.ts";
 * import { divideSegment } from "./import_division.ts";
 *
 * const rows = { keys: { kind: "int64", values: [1n, 2n] } as const, timestamps: BigUint64Array.of(40n, 41n) };
 * const finder = new DeadRows({ cutTs: 100n, partitions: "scoped" });
 * finder.addDeletes({ partitionId: 5n, keys: { kind: "int64", values: [1n] }, timestamps: [50n] });
 * finder.addRows(7n, 5n, 0, rows.keys, rows.timestamps);
 * const division = await divideSegment({
 *   cutTs: 100n,
 *   partitionId: 5n,
 *   rows: 2,
 *   dead: finder.finish().get(7n)!,
 *   read: async function* () {
 *     yield { firstRow: 0, ...rows };
 *   },
 *   maxDeletes: 1000,
 * });
 * assert.ok(typeof division !== "string");
 * assert.equal(division.imported, 1);
 * assert.deepEqual(division.deletes, { partitionId: 5n, keys: { kind: "int64", values: [1n] }, timestamps: [41n] });
 * ```
 */
export async function divideSegment(options: DivisionOptions): Promise<Division | string> {
  const { cutTs, rows, dead: { dead, counts } } = options;
  const alive = rows - dead.length;
  if (dead.length === 0) {
    return { endMs: undefined, deletes: undefined, imported: alive, rest: new Uint32Array() };
  }
  let endMs = counts.later > 0 ? cutTs >> LOGICAL_BITS : undefined;
  for (;;) {
    const end = endMs === undefined ? 2n ** 64n - 1n : endMs << LOGICAL_BITS;
    const found = await firstPass(options, end);
    if (found === "clash") {
      endMs = endMs! - 1n;
      continue;
    }
    if (found === "too many") return `more than ${options.maxDeletes} of its rows are deleted`;
    const { killed, rest } = found;
    if (counts.duplicates > 0 && killed.size > 0) await addTwins(options, end, killed, rest);
    const sorted = Uint32Array.from(rest).sort();
    return { endMs, deletes: markOf(killed, options.partitionId), imported: alive - sorted.length, rest: sorted };
  }
}

type Killed = Map<bigint | string, HybridTs>;

/** The newest dead row of each key, and the living rows beyond the end. A dead row at the very end can be left out by no delete: clash. */
async function firstPass(
  { cutTs, dead: { dead }, read, maxDeletes }: DivisionOptions,
  end: HybridTs,
): Promise<{ readonly killed: Killed; readonly rest: number[] } | "clash" | "too many"> {
  const killed: Killed = new Map();
  const rest: number[] = [];
  let next = 0;
  for await (const { firstRow, keys, timestamps } of read()) {
    for (let i = 0; i < timestamps.length; i++) {
      const row = firstRow + i;
      const ts = timestamps[i]!;
      if (dead[next] !== row) {
        if (ts > end) rest.push(row);
        continue;
      }
      next++;
      if (ts > end || ts > cutTs) continue;
      if (ts === end) return "clash";
      const key = keys.values[i]!;
      const before = killed.get(key);
      if (before === undefined || ts > before) killed.set(key, ts);
      if (killed.size > maxDeletes) return "too many";
    }
  }
  return { killed, rest };
}

/** Living rows that are as old as a dead one of their key, or older: the delete of that takes them along. */
async function addTwins(
  { dead: { dead }, read }: DivisionOptions,
  end: HybridTs,
  killed: Killed,
  rest: number[],
): Promise<void> {
  let next = 0;
  for await (const { firstRow, keys, timestamps } of read()) {
    for (let i = 0; i < timestamps.length; i++) {
      const row = firstRow + i;
      if (dead[next] === row) {
        next++;
        continue;
      }
      const ts = timestamps[i]!;
      if (ts > end) continue;
      const last = killed.get(keys.values[i]!);
      if (last !== undefined && ts <= last) rest.push(row);
    }
  }
}

/** One delete a key, the smallest that leaves out its dead rows. */
function markOf(killed: Killed, partitionId: bigint): DeleteMark | undefined {
  if (killed.size === 0) return undefined;
  const values = [...killed.keys()];
  const keys: Keys = typeof values[0] === "bigint"
    ? { kind: "int64", values: values as bigint[] }
    : { kind: "varchar", values: values as string[] };
  return { partitionId, keys, timestamps: [...killed.values()].map((ts) => ts + 1n) };
}
