/** Which operations of a batch still count: per key a short chain, one entry a partition, of the last operation there. */
import { TidemarkError } from "../errors.ts";
import type { Keys } from "../model/mod.ts";
import { hashWords, KeyIndex } from "./key_index.ts";

/** Partition number of a delete in all partitions. */
const ALL = -1;

/** Finds the entry number of each key; entries are numbered as they appear. */
interface KeyNumbers {
  readonly size: number;
  /** The entry of operation `operation`'s key, added if need be. */
  entryOf(operation: number): number;
  intersects(other: KeyNumbers): boolean;
}

export class FoldKeys {
  readonly kind: Keys["kind"];
  /** One a operation: 1 = it counts. */
  readonly alive: Uint8Array;
  duplicates = 0;
  /** Inserts of a key that no operation before them had: whether there was a row of it already, somebody else must know. */
  plain = 0;
  readonly #numbers: KeyNumbers;
  readonly #heads: Int32Array;
  readonly #next: Int32Array;
  readonly #partitions: Int32Array;
  readonly #isInsert: Uint8Array;

  private constructor(kind: Keys["kind"], numbers: KeyNumbers, count: number) {
    this.kind = kind;
    this.#numbers = numbers;
    this.alive = new Uint8Array(count);
    this.#heads = new Int32Array(count).fill(-1);
    this.#next = new Int32Array(count);
    this.#partitions = new Int32Array(count);
    this.#isInsert = new Uint8Array(count);
  }

  /** The keys of all operations, in order. Throws `damaged` where int64 and varchar keys are mixed. */
  static of(batches: readonly Keys[]): FoldKeys {
    const count = batches.reduce((sum, keys) => sum + keys.values.length, 0);
    const kind = batches.find((keys) => keys.values.length > 0)?.kind ?? "int64";
    if (batches.some((keys) => keys.values.length > 0 && keys.kind !== kind)) {
      throw new TidemarkError("damaged", "Records of one collection carry both int64 and varchar keys");
    }
    const numbers = kind === "int64" ? new Int64Numbers(batches, count) : new TextNumbers(batches, count);
    return new FoldKeys(kind, numbers, count);
  }

  insert(first: number, count: number, partition: number): void {
    for (let operation = first; operation < first + count; operation++) {
      const entry = this.#enter(operation, partition, 1);
      const before = this.#take(entry, partition);
      if (before >= 0) this.duplicates += this.#isInsert[before]!;
      else if (!this.#has(entry, ALL)) this.plain++;
      this.#push(entry, operation);
    }
  }

  delete(first: number, count: number, partition: number): void {
    for (let operation = first; operation < first + count; operation++) {
      const entry = this.#enter(operation, partition, 0);
      if (partition === ALL) {
        for (let at = this.#heads[entry]!; at >= 0; at = this.#next[at]!) this.alive[at] = 0;
        this.#heads[entry] = -1;
      } else {
        this.#take(entry, partition);
        if (this.#has(entry, ALL)) continue;
      }
      this.#push(entry, operation);
    }
  }

  /** True if a key is in both. */
  intersects(other: FoldKeys): boolean {
    if (this.#numbers.size === 0 || other.#numbers.size === 0) return false;
    if (this.kind !== other.kind) return true;
    return this.#numbers.size < other.#numbers.size
      ? other.#numbers.intersects(this.#numbers)
      : this.#numbers.intersects(other.#numbers);
  }

  #enter(operation: number, partition: number, isInsert: number): number {
    this.#partitions[operation] = partition;
    this.#isInsert[operation] = isInsert;
    return this.#numbers.entryOf(operation);
  }

  #push(entry: number, operation: number): void {
    this.alive[operation] = 1;
    this.#next[operation] = this.#heads[entry]!;
    this.#heads[entry] = operation;
  }

  /** Makes the operation of that partition void; returns it, -1 if there is none. */
  #take(entry: number, partition: number): number {
    let previous = -1;
    for (let at = this.#heads[entry]!; at >= 0; previous = at, at = this.#next[at]!) {
      if (this.#partitions[at] !== partition) continue;
      this.alive[at] = 0;
      if (previous < 0) this.#heads[entry] = this.#next[at]!;
      else this.#next[previous] = this.#next[at]!;
      return at;
    }
    return -1;
  }

  #has(entry: number, partition: number): boolean {
    for (let at = this.#heads[entry]!; at >= 0; at = this.#next[at]!) {
      if (this.#partitions[at] === partition) return true;
    }
    return false;
  }
}

class Int64Numbers implements KeyNumbers {
  readonly #index: KeyIndex;
  readonly #words: Int32Array;

  constructor(batches: readonly Keys[], count: number) {
    this.#index = new KeyIndex(2, count);
    const values = new BigInt64Array(count);
    let at = 0;
    for (const keys of batches) {
      if (keys.kind !== "int64") continue;
      values.set(keys.values, at);
      at += keys.values.length;
    }
    this.#words = new Int32Array(values.buffer);
  }

  get size(): number {
    return this.#index.size;
  }

  entryOf(operation: number): number {
    return this.#index.add(this.#words, operation * 2, hashWords(this.#words, operation * 2, 2), 0);
  }

  intersects(other: KeyNumbers): boolean {
    const theirs = (other as Int64Numbers).#index;
    const { words } = theirs;
    for (let entry = 0; entry < theirs.size; entry++) {
      if (this.#index.find(words, entry * 2, hashWords(words, entry * 2, 2), 0) >= 0) return true;
    }
    return false;
  }
}

class TextNumbers implements KeyNumbers {
  readonly #entries = new Map<string, number>();
  readonly #keys: string[];

  constructor(batches: readonly Keys[], count: number) {
    const all = new Array<string>(count);
    let at = 0;
    for (const keys of batches) if (keys.kind === "varchar") { for (const key of keys.values) all[at++] = key; }
    this.#keys = all;
  }

  get size(): number {
    return this.#entries.size;
  }

  entryOf(operation: number): number {
    const key = this.#keys[operation]!;
    const known = this.#entries.get(key);
    if (known !== undefined) return known;
    const entry = this.#entries.size;
    this.#entries.set(key, entry);
    return entry;
  }

  intersects(other: KeyNumbers): boolean {
    for (const key of (other as TextNumbers).#entries.keys()) if (this.#entries.has(key)) return true;
    return false;
  }
}
