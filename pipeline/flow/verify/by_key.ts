/**
 * What a user finds who asks by the partition key: the server looks into the one partition that the value hashes to, so a
 * row that lies in another is there, by its primary key, and yet not found.
 */
import { keysOf } from "../../columns/mod.ts";
import {
  type Collection,
  type Keys,
  partitionKey,
  primaryKey,
  type RowSink,
  type TargetName,
} from "../../model/mod.ts";
import { byName, spread } from "./log.ts";

type Value = bigint | string;

/**
 * Values of the partition key with the primary keys of their rows. Beyond `limit` values a sample of them is kept, by a hash:
 * the same values in every comparison. Memory: the keys of the sampled values' rows.
 */
export class KeySample {
  readonly #limit: number;
  readonly #values = new Map<Value, Set<Value>>();
  /** Values whose hash is this or larger are not in the sample. */
  #end = Infinity;

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(value: Value, key: Value): void {
    if (spread(value) >= this.#end) return;
    const keys = this.#values.get(value);
    if (keys !== undefined) {
      keys.add(key);
      return;
    }
    this.#values.set(value, new Set([key]));
    if (this.#values.size > this.#limit * 2) this.#cut();
  }

  /** False: there are more values than the sample has. */
  get isWhole(): boolean {
    return this.#end === Infinity && this.#values.size <= this.#limit;
  }

  /** Value -> primary keys. */
  take(): ReadonlyMap<Value, Set<Value>> {
    if (this.#values.size > this.#limit) this.#cut();
    return this.#values;
  }

  #cut(): void {
    const hashes = [...this.#values.keys()].map(spread).sort((a, b) => a - b);
    this.#end = hashes[this.#limit]!;
    for (const value of this.#values.keys()) if (spread(value) >= this.#end) this.#values.delete(value);
  }
}

/** Readings under way at once, and how many values each asks for: the target waits once for each of them to be current. */
const AT_ONCE = 4;
const VALUES_AT_ONCE = 50;

export interface LostRow {
  readonly value: Value;
  readonly key: Value;
}

/** The rows of the sample that the target has but does not find by their partition key. */
export async function notFoundByKey(
  sink: RowSink,
  collection: Collection,
  target: TargetName,
  sample: ReadonlyMap<Value, ReadonlySet<Value>>,
  signal: AbortSignal,
): Promise<LostRow[]> {
  const key = byName(primaryKey(collection.schema)!);
  const field = byName(partitionKey(collection.schema)!);
  const wanted = { source: collection, target };
  /** Value -> primary keys that a query for it finds. */
  const found = async (values: readonly Value[], keys: Keys | undefined) => {
    const all = new Map<Value, Set<Value>>(values.map((value) => [value, new Set()]));
    const selection = { partitionKeys: values, outputFields: [key.name], ...keys === undefined ? {} : { keys } };
    for await (const page of sink.read(wanted, selection, signal)) {
      const own = all.get(page.partitionKey!)!;
      for (const one of keysOf(page.fieldsData, key, page.rows).values) own.add(one);
    }
    return all;
  };
  const absentIn = (there: Map<Value, Set<Value>>, rows: Iterable<LostRow>) =>
    [...rows].filter((row) => there.get(row.value)?.has(row.key) !== true);
  /** Those that still have their value, read by primary key. */
  const still = async (rows: readonly LostRow[]) => {
    const values = new Map(rows.map((row) => [row.key, row.value]));
    const left: LostRow[] = [];
    const selection = { keys: keysFrom([...values.keys()]), outputFields: [key.name, field.name] };
    for await (const page of sink.read(wanted, selection, signal)) {
      const now = keysOf(page.fieldsData, field, page.rows).values;
      keysOf(page.fieldsData, key, page.rows).values.forEach((one: Value, row: number) => {
        if (values.get(one) === now[row]) left.push({ key: one, value: now[row]! });
      });
    }
    return left;
  };
  const lost: LostRow[] = [];
  const queue = [...sample];
  const worker = async () => {
    for (let part = queue.splice(0, VALUES_AT_ONCE); part.length > 0; part = queue.splice(0, VALUES_AT_ONCE)) {
      const rows = part.flatMap(([value, keys]) => [...keys].map((one) => ({ value, key: one })));
      const absent = absentIn(await found(part.map(([value]) => value), undefined), rows);
      if (absent.length === 0) continue;
      // The copy may have been written meanwhile: what is there now and is not found now counts.
      const left = await still(absent);
      if (left.length === 0) continue;
      const again = await found([...new Set(left.map(({ value }) => value))], keysFrom(left.map((row) => row.key)));
      lost.push(...absentIn(again, left));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return lost;
}

/** Primary keys of one collection, all of one kind. */
export function keysFrom(values: readonly Value[]): Keys {
  return typeof values[0] === "string"
    ? { kind: "varchar", values: values as string[] }
    : { kind: "int64", values: values as bigint[] };
}
