/**
 * Which rows of a vchannel's segments are not in the base: later than the cut (the tail brings them), deleted, or
 * superseded by a newer row of the same key. A delete removes rows of its key, in its partition (-1: in all), whose ts is
 * smaller than its own; at equal ts it goes first, so an upsert's own row stays.
 *
 * Bounded memory: tables on typed arrays, about 45 bytes a row; beyond a budget the keys are split by hash into parts and
 * the caller reads the key columns once per part.
 */
import type { DeleteMark, HybridTs, Keys } from "../model/mod.ts";
import { checkWidth, hashWords, KeyIndex, partOf, wordsOf } from "./key_index.ts";

export interface DeadRowsOptions {
  /** Rows with a larger ts are dead. */
  readonly cutTs: HybridTs;
  /** `scoped`: a key lives in each partition by itself; `any`: the key alone identifies a row (collections with a partition key). */
  readonly partitions: "scoped" | "any";
  /** This pass looks at the keys of part `part` of `parts`. Default: all. */
  readonly part?: number;
  readonly parts?: number;
  /** Marks with a larger ts are ignored. Default: none is; the tail repeats later deletes, so they do no harm but the base is no exact past state. */
  readonly deletesUpTo?: HybridTs;
  /** Rows and marks of up to this ts are on the target already: they are passed over. Default: none is. */
  readonly afterTs?: HybridTs;
}

/** Where keys that a mark deletes must be removed. */
export interface Removal {
  /** Undefined: in all partitions. */
  readonly partitionId: bigint | undefined;
  /** Indexes into the mark's keys. */
  readonly keys: readonly number[];
}

export interface DeadCounts {
  readonly later: number;
  readonly deleted: number;
  readonly duplicates: number;
}

export interface DeadSegment {
  /** Row indexes in their segment, ascending. */
  readonly dead: Uint32Array;
  /** Why, each dead row once. */
  readonly counts: DeadCounts;
}

const ROW_BYTES = { int64: 56, varchar: 72 } as const;
const DELETE_BYTES = { int64: 48, varchar: 60 } as const;

/**
 * In how many parts the keys must be split to stay below `budgetBytes`.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { partsFor } from "./dead_rows.ts";
 *
 * assert.equal(partsFor(1_000_000, 0, 128 * 1024 * 1024, "int64"), 1);
 * assert.equal(partsFor(10_000_000, 0, 128 * 1024 * 1024, "int64"), 5);
 * ```
 */
export function partsFor(
  rows: number,
  deletes: number,
  budgetBytes: number,
  kind: Keys["kind"] = "varchar",
): number {
  const bytes = rows * ROW_BYTES[kind] + deletes * DELETE_BYTES[kind];
  return Math.max(1, Math.ceil(bytes / Math.max(1, budgetBytes)));
}

/** No ts is that small. */
const BEFORE_ALL = -1;

/** Tag of deletes that hold in all partitions, and of everything where partitions do not count. */
const EVERYWHERE = 0;

interface SegmentRows {
  readonly id: bigint;
  readonly tag: number;
  dead: Uint32Array;
  count: number;
  later: number;
  deleted: number;
  duplicates: number;
}

/**
 * Finds the rows of a vchannel that are no base.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { DeadRows } from "./dead_rows.ts";
 *
 * const finder = new DeadRows({ cutTs: 100n, partitions: "scoped" });
 * finder.addDeletes({ partitionId: -1n, keys: { kind: "int64", values: [1n] }, timestamps: [50n] });
 * // Key 1 is deleted, key 2 is there twice, key 3 is later than the cut.
 * const keys = { kind: "int64", values: [1n, 2n, 2n, 3n] } as const;
 * finder.addRows(7n, 5n, 0, keys, BigUint64Array.of(40n, 40n, 60n, 101n));
 * const { dead, counts } = finder.finish().get(7n)!;
 * assert.deepEqual([...dead], [0, 1, 3]);
 * assert.deepEqual(counts, { later: 1, deleted: 1, duplicates: 1 });
 * ```
 */
export class DeadRows {
  readonly #cutLow: number;
  readonly #cutHigh: number;
  readonly #upToLow: number;
  readonly #upToHigh: number;
  readonly #afterLow: number;
  readonly #afterHigh: number;
  readonly #scoped: boolean;
  readonly #part: number;
  readonly #parts: number;
  readonly #tags = new Map<bigint, number>();
  readonly #segments: SegmentRows[] = [];
  readonly #segmentNumbers = new Map<bigint, number>();
  #deletes: KeyIndex | undefined;
  /** Largest delete ts per entry, as halves. */
  #deleteTs = new Uint32Array(0);
  /** Delete entries that a removal was given out for. */
  readonly #removed = new Set<number>();
  #everywhere = false;
  #inPartitions = false;
  #rows: KeyIndex | undefined;
  /** Newest row per entry: ts halves, segment number, row. */
  #rowTs = new Uint32Array(0);
  #rowSegment = new Uint32Array(0);
  #rowIndex = new Uint32Array(0);
  #lateDeletes = false;

  constructor(options: DeadRowsOptions) {
    this.#cutLow = Number(options.cutTs & 0xffffffffn);
    this.#cutHigh = Number(options.cutTs >> 32n);
    const upTo = options.deletesUpTo ?? 2n ** 64n - 1n;
    this.#upToLow = Number(upTo & 0xffffffffn);
    this.#upToHigh = Number(upTo >> 32n);
    const { afterTs } = options;
    this.#afterLow = afterTs === undefined ? 0 : Number(afterTs & 0xffffffffn);
    this.#afterHigh = afterTs === undefined ? BEFORE_ALL : Number(afterTs >> 32n);
    this.#scoped = options.partitions === "scoped";
    this.#part = options.part ?? 0;
    this.#parts = options.parts ?? 1;
  }

  /** Bytes of the tables now. */
  get bytes(): number {
    return (this.#deletes?.bytes ?? 0) + (this.#rows?.bytes ?? 0) + this.#deleteTs.byteLength +
      this.#rowTs.byteLength + this.#rowSegment.byteLength + this.#rowIndex.byteLength;
  }

  /** Best before any row: rows that are deleted then take no memory. Throws `damaged` for keys of another kind. */
  addDeletes(mark: DeleteMark): void {
    const keys = wordsOf(mark.keys);
    if (keys.count === 0) return;
    const index = this.#deletes ??= new KeyIndex(keys.width);
    checkWidth(index, keys);
    if (this.#rows !== undefined) {
      checkWidth(this.#rows, keys);
      this.#lateDeletes = true;
    }
    const tag = mark.partitionId === -1n ? EVERYWHERE : this.#tagOf(mark.partitionId);
    if (tag === EVERYWHERE) this.#everywhere = true;
    else this.#inPartitions = true;
    const ts = halves(mark.timestamps);
    for (let i = 0; i < keys.count; i++) {
      const at = i * keys.width;
      const hash = hashWords(keys.words, at, keys.width);
      if (this.#parts > 1 && partOf(hash, this.#parts) !== this.#part) continue;
      const low = ts[i * 2]!;
      const high = ts[i * 2 + 1]!;
      if (!this.#counts(low, high)) continue;
      const before = index.size;
      const entry = index.add(keys.words, at, hash, tag);
      if (this.#deleteTs.length < index.capacity * 2) this.#deleteTs = grown(this.#deleteTs, index.capacity * 2);
      if (entry === before || isLater(low, high, this.#deleteTs[entry * 2]!, this.#deleteTs[entry * 2 + 1]!)) {
        this.#deleteTs[entry * 2] = low;
        this.#deleteTs[entry * 2 + 1] = high;
      }
    }
  }

  /**
   * Rows `firstRow` and following of a segment, one key and one timestamp each.
   * Throws `damaged` for keys of another kind, RangeError where counts differ.
   */
  addRows(segmentId: bigint, partitionId: bigint, firstRow: number, keys: Keys, timestamps: BigUint64Array): void {
    const given = wordsOf(keys);
    if (given.count !== timestamps.length) {
      throw new RangeError(`${given.count} keys with ${timestamps.length} timestamps`);
    }
    const number = this.#segmentNumber(segmentId, partitionId);
    if (given.count === 0) return;
    const { width, words, count } = given;
    const index = this.#rows ??= new KeyIndex(width);
    checkWidth(index, given);
    if (this.#deletes !== undefined) checkWidth(this.#deletes, given);
    const segment = this.#segments[number]!;
    const ts = halves(timestamps);
    for (let i = 0; i < count; i++) {
      const at = i * width;
      const hash = hashWords(words, at, width);
      if (this.#parts > 1 && partOf(hash, this.#parts) !== this.#part) continue;
      const low = ts[i * 2]!;
      const high = ts[i * 2 + 1]!;
      const row = firstRow + i;
      if (isLater(low, high, this.#cutLow, this.#cutHigh)) {
        segment.later++;
        bury(segment, row);
        continue;
      }
      if (!isLater(low, high, this.#afterLow, this.#afterHigh)) {
        bury(segment, row);
        continue;
      }
      if (this.#isDeleted(words, at, hash, segment.tag, low, high)) {
        segment.deleted++;
        bury(segment, row);
        continue;
      }
      const before = index.size;
      const entry = index.add(words, at, hash, segment.tag);
      if (entry === before) {
        if (this.#rowIndex.length < index.capacity) this.#growRows(index.capacity);
        this.#put(entry, low, high, number, row);
      } else if (this.#beats(entry, low, high, number, row)) {
        const loser = this.#segments[this.#rowSegment[entry]!]!;
        loser.duplicates++;
        bury(loser, this.#rowIndex[entry]!);
        this.#put(entry, low, high, number, row);
      } else {
        segment.duplicates++;
        bury(segment, row);
      }
    }
  }

  /** The dead rows of every segment that was added. */
  finish(): Map<bigint, DeadSegment> {
    if (this.#lateDeletes && this.#rows !== undefined) this.#applyLateDeletes(this.#rows);
    return new Map(this.#segments.map(({ id, dead, count, later, deleted, duplicates }) => {
      const rows = dead.slice(0, count);
      rows.sort();
      return [id, { dead: rows, counts: { later, deleted, duplicates } }];
    }));
  }

  /**
   * Of what a mark deletes, the keys that no row is alive of any more, each once over all marks, and where they must go. To be
   * asked when all marks and then all rows were added. `partitions`: those of the collection that are alive.
   */
  removals(mark: DeleteMark, partitions: readonly bigint[]): Removal[] {
    const keys = wordsOf(mark.keys);
    const index = this.#deletes;
    if (index === undefined) return [];
    const tag = mark.partitionId === -1n ? EVERYWHERE : this.#tagOf(mark.partitionId);
    const ts = halves(mark.timestamps);
    const found = new Map<bigint | undefined, number[]>();
    const put = (partitionId: bigint | undefined, key: number) => {
      const list = found.get(partitionId);
      if (list === undefined) found.set(partitionId, [key]);
      else list.push(key);
    };
    for (let i = 0; i < keys.count; i++) {
      const at = i * keys.width;
      const hash = hashWords(keys.words, at, keys.width);
      if (this.#parts > 1 && partOf(hash, this.#parts) !== this.#part) continue;
      if (!this.#counts(ts[i * 2]!, ts[i * 2 + 1]!)) continue;
      const entry = index.find(keys.words, at, hash, tag);
      if (this.#removed.has(entry)) continue;
      this.#removed.add(entry);
      const lives = (tag: number) => (this.#rows?.find(keys.words, at, hash, tag) ?? -1) >= 0;
      if (tag !== EVERYWHERE || !this.#scoped) {
        if (!lives(tag)) put(this.#scoped ? mark.partitionId : undefined, i);
        continue;
      }
      const without = partitions.filter((id) => !lives(this.#tagOf(id)));
      if (without.length === partitions.length) put(undefined, i);
      else for (const id of without) put(id, i);
    }
    return [...found].map(([partitionId, keys]) => ({ partitionId, keys }));
  }

  /** Indexes of the keys of this part that no row is alive of in that partition. */
  lifeless(partitionId: bigint, keys: Keys): number[] {
    const { width, words, count } = wordsOf(keys);
    const tag = this.#tagOf(partitionId);
    const found: number[] = [];
    for (let i = 0; i < count; i++) {
      const hash = hashWords(words, i * width, width);
      if (this.#parts > 1 && partOf(hash, this.#parts) !== this.#part) continue;
      if ((this.#rows?.find(words, i * width, hash, tag) ?? -1) < 0) found.push(i);
    }
    return found;
  }

  /** Whether a mark of that ts is in the window. */
  #counts(low: number, high: number): boolean {
    return !isLater(low, high, this.#upToLow, this.#upToHigh) && isLater(low, high, this.#afterLow, this.#afterHigh);
  }

  #applyLateDeletes(index: KeyIndex): void {
    for (let entry = 0; entry < index.size; entry++) {
      const at = entry * index.width;
      const hash = hashWords(index.words, at, index.width);
      const segment = this.#segments[this.#rowSegment[entry]!]!;
      const low = this.#rowTs[entry * 2]!;
      const high = this.#rowTs[entry * 2 + 1]!;
      if (!this.#isDeleted(index.words, at, hash, segment.tag, low, high)) continue;
      segment.deleted++;
      bury(segment, this.#rowIndex[entry]!);
    }
    this.#lateDeletes = false;
  }

  #isDeleted(words: Int32Array, at: number, hash: number, tag: number, low: number, high: number): boolean {
    const index = this.#deletes;
    if (index === undefined) return false;
    if (this.#everywhere) {
      const entry = index.find(words, at, hash, EVERYWHERE);
      if (entry >= 0 && isLater(this.#deleteTs[entry * 2]!, this.#deleteTs[entry * 2 + 1]!, low, high)) return true;
    }
    if (!this.#inPartitions || tag === EVERYWHERE) return false;
    const entry = index.find(words, at, hash, tag);
    return entry >= 0 && isLater(this.#deleteTs[entry * 2]!, this.#deleteTs[entry * 2 + 1]!, low, high);
  }

  /** Newer ts wins; rows of one ts were in one request, where the last one is meant: the later segment, the later row. */
  #beats(entry: number, low: number, high: number, number: number, row: number): boolean {
    const ownLow = this.#rowTs[entry * 2]!;
    const ownHigh = this.#rowTs[entry * 2 + 1]!;
    if (low !== ownLow || high !== ownHigh) return isLater(low, high, ownLow, ownHigh);
    const own = this.#rowSegment[entry]!;
    if (own === number) return row > this.#rowIndex[entry]!;
    return this.#segments[number]!.id > this.#segments[own]!.id;
  }

  #put(entry: number, low: number, high: number, number: number, row: number): void {
    this.#rowTs[entry * 2] = low;
    this.#rowTs[entry * 2 + 1] = high;
    this.#rowSegment[entry] = number;
    this.#rowIndex[entry] = row;
  }

  #growRows(capacity: number): void {
    this.#rowTs = grown(this.#rowTs, capacity * 2);
    this.#rowSegment = grown(this.#rowSegment, capacity);
    this.#rowIndex = grown(this.#rowIndex, capacity);
  }

  #tagOf(partitionId: bigint): number {
    if (!this.#scoped) return EVERYWHERE;
    let tag = this.#tags.get(partitionId);
    if (tag === undefined) this.#tags.set(partitionId, tag = this.#tags.size + 1);
    return tag;
  }

  #segmentNumber(id: bigint, partitionId: bigint): number {
    let number = this.#segmentNumbers.get(id);
    if (number !== undefined) return number;
    number = this.#segments.length;
    this.#segments.push({
      id,
      tag: this.#tagOf(partitionId),
      dead: new Uint32Array(64),
      count: 0,
      later: 0,
      deleted: 0,
      duplicates: 0,
    });
    this.#segmentNumbers.set(id, number);
    return number;
  }
}

function bury(segment: SegmentRows, row: number): void {
  if (segment.count === segment.dead.length) segment.dead = grown(segment.dead, segment.dead.length * 2);
  segment.dead[segment.count++] = row;
}

function grown(array: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const out = new Uint32Array(length);
  out.set(array);
  return out;
}

/** True if a > b, both unsigned 64 bits as halves. */
function isLater(aLow: number, aHigh: number, bLow: number, bHigh: number): boolean {
  return aHigh === bHigh ? aLow > bLow : aHigh > bHigh;
}

function halves(timestamps: readonly HybridTs[] | BigUint64Array): Uint32Array {
  const values = timestamps instanceof BigUint64Array ? timestamps : BigUint64Array.from(timestamps);
  return new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
}
