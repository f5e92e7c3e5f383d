/**
 * Consecutive operations of one vchannel as at most one delete and one write per partition: the last one wins by
 * (partition, key). Deletes are applied before writes, and a write is an upsert, so a delete that an insert of the same
 * key and partition follows needs no request of its own.
 */
import { TidemarkError } from "../errors.ts";
import type { DeleteEvent, InsertEvent, Keys } from "../model/mod.ts";
import { type KeyField, keysOf, mergeFieldsData, type RowsPart, selectRows } from "../columns/mod.ts";
import { FoldKeys } from "./fold_keys.ts";

/** What folding needs to know of a collection. */
export interface FoldTarget {
  readonly primaryKey: KeyField;
  /** Then the key alone identifies a row, and partitions are the server's business. */
  readonly hasPartitionKey: boolean;
  /** A write grows by whole messages up to this many bytes. Default 16 MiB. */
  readonly maxWriteBytes?: number;
}

export interface FoldedRemove {
  /** Undefined: in all partitions. */
  readonly partitionId: bigint | undefined;
  readonly partitionName: string;
  readonly keys: Keys;
}

export interface FoldedWrite {
  readonly partitionId: bigint;
  readonly partitionName: string;
  readonly rows: number;
  readonly fieldsData: readonly Uint8Array[];
  /** Rows of the messages that went in, and how many of them a later operation of the batch made void. */
  readonly sourceRows: number;
  readonly superseded: number;
}

export interface FoldedBatch {
  /** To be applied first; in any order. */
  readonly removes: readonly FoldedRemove[];
  /** Upserts, then; in any order: no (partition, key) is in two of them. */
  readonly writes: readonly FoldedWrite[];
  /** Rows that a later row of the same key replaced without a delete in between: the source has both. */
  readonly duplicates: number;
  /** Rows whose key nothing of the batch deleted before: the source may have an older one, too. */
  readonly plain: number;
  /** Every key the batch touches, for {@link keyConflict}. */
  readonly keys: FoldKeys;
}

const MAX_WRITE_BYTES = 16 * 1024 * 1024;

/**
 * `events` in the order in which they must be applied: by (ts, delete before insert, offset), of one vchannel.
 * Throws `damaged` for columns that cannot be read.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { encodeColumn } from "../columns/mod.ts";
 * import type { DeleteEvent, InsertEvent } from "../model/mod.ts";
 * import { DataType } from "../proto/gen/schema_pb.ts";
 * import { foldEvents } from "./fold.ts";
 *
 * const id = (values: bigint[]) =>
 *   encodeColumn({
 *     fieldId: 100n,
 *     name: "id",
 *     type: DataType.Int64,
 *     elementType: DataType.None,
 *     dim: 0,
 *     isDynamic: false,
 *     valid: undefined,
 *     data: { kind: "int64", values: BigInt64Array.from(values) },
 *   });
 * const place = { partitionId: 5n, partitionName: "_default" };
 * const insert = (...values: bigint[]) =>
 *   ({ kind: "insert", ...place, rows: values.length, fieldsData: [id(values)] }) as unknown as InsertEvent;
 * const target = { primaryKey: { fieldID: 100n, name: "id", dataType: DataType.Int64 }, hasPartitionKey: false };
 * const remove = { kind: "delete", ...place, keys: { kind: "int64", values: [1n, 9n] } } as unknown as DeleteEvent;
 * const batch = foldEvents([insert(1n, 2n), remove, insert(2n)], target);
 * assert.equal(batch.writes.reduce((rows, write) => rows + write.rows, 0), 1, "key 1 was deleted, key 2 is there twice");
 * assert.equal(batch.duplicates, 1);
 * assert.equal(batch.removes[0]?.keys.values.length, 2);
 * ```
 */
export function foldEvents(events: readonly (InsertEvent | DeleteEvent)[], target: FoldTarget): FoldedBatch {
  const keysOfEvents = events.map((event) =>
    event.kind === "insert" ? keysOf(event.fieldsData, target.primaryKey, event.rows) : event.keys
  );
  const partitions = new Partitions(target.hasPartitionKey);
  const keys = FoldKeys.of(keysOfEvents);
  let operation = 0;
  events.forEach((event, i) => {
    const partition = partitions.numberOf(event);
    const count = keysOfEvents[i]!.values.length;
    if (event.kind === "insert") keys.insert(operation, count, partition);
    else keys.delete(operation, count, partition);
    operation += count;
  });
  return {
    removes: removesOf(events, keysOfEvents, partitions, keys),
    writes: writesOf(events, partitions, keys, target.maxWriteBytes ?? MAX_WRITE_BYTES),
    duplicates: keys.duplicates,
    plain: keys.plain,
    keys,
  };
}

/**
 * True if two batches touch a common key, so that the second must wait for the first.
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { encodeColumn } from "../columns/mod.ts";
 * import type { InsertEvent } from "../model/mod.ts";
 * import { DataType } from "../proto/gen/schema_pb.ts";
 * import { foldEvents, keyConflict } from "./fold.ts";
 *
 * const id = (values: bigint[]) =>
 *   encodeColumn({
 *     fieldId: 100n,
 *     name: "id",
 *     type: DataType.Int64,
 *     elementType: DataType.None,
 *     dim: 0,
 *     isDynamic: false,
 *     valid: undefined,
 *     data: { kind: "int64", values: BigInt64Array.from(values) },
 *   });
 * const place = { partitionId: 5n, partitionName: "_default" };
 * const insert = (...values: bigint[]) =>
 *   ({ kind: "insert", ...place, rows: values.length, fieldsData: [id(values)] }) as unknown as InsertEvent;
 * const target = { primaryKey: { fieldID: 100n, name: "id", dataType: DataType.Int64 }, hasPartitionKey: false };
 * assert.ok(keyConflict(foldEvents([insert(1n, 2n)], target), foldEvents([insert(2n)], target)));
 * assert.ok(!keyConflict(foldEvents([insert(1n)], target), foldEvents([insert(2n)], target)));
 * ```
 */
export function keyConflict(a: FoldedBatch, b: FoldedBatch): boolean {
  return a.keys.intersects(b.keys);
}

/** Partitions by small numbers; -1 is all of them. */
class Partitions {
  readonly #one: boolean;
  readonly #numbers = new Map<bigint, number>();
  readonly #first: (InsertEvent | DeleteEvent)[] = [];

  constructor(one: boolean) {
    this.#one = one;
  }

  numberOf(event: InsertEvent | DeleteEvent): number {
    if (this.#one) {
      if (event.kind === "insert") this.#first[0] ??= event;
      return 0;
    }
    if (event.partitionId === -1n) return -1;
    let number = this.#numbers.get(event.partitionId);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(event.partitionId, number);
      this.#first[number] = event;
    }
    return number;
  }

  /** Undefined for all partitions. */
  of(number: number, kind: "insert" | "delete"): { id: bigint; name: string } | undefined {
    if (number === -1 || (this.#one && kind === "delete")) return undefined;
    const event = this.#first[number]!;
    return { id: event.partitionId, name: event.partitionName };
  }
}

function removesOf(
  events: readonly (InsertEvent | DeleteEvent)[],
  keysOfEvents: readonly Keys[],
  partitions: Partitions,
  keys: FoldKeys,
): FoldedRemove[] {
  const groups = new Map<number, (bigint | string)[]>();
  let operation = 0;
  events.forEach((event, i) => {
    const { values } = keysOfEvents[i]!;
    if (event.kind === "delete") {
      const number = partitions.numberOf(event);
      let list = groups.get(number);
      if (list === undefined) groups.set(number, list = []);
      for (let k = 0; k < values.length; k++) if (keys.alive[operation + k] === 1) list.push(values[k]!);
    }
    operation += values.length;
  });
  const removes: FoldedRemove[] = [];
  for (const [number, list] of groups) {
    if (list.length === 0) continue;
    const partition = partitions.of(number, "delete");
    removes.push({
      partitionId: partition?.id,
      partitionName: partition?.name ?? "",
      keys: keys.kind === "int64"
        ? { kind: "int64", values: BigInt64Array.from(list as bigint[]) }
        : { kind: "varchar", values: list as string[] },
    });
  }
  return removes;
}

interface Draft {
  readonly number: number;
  readonly parts: RowsPart[];
  bytes: number;
  sourceRows: number;
}

function writesOf(
  events: readonly (InsertEvent | DeleteEvent)[],
  partitions: Partitions,
  keys: FoldKeys,
  maxBytes: number,
): FoldedWrite[] {
  const drafts: Draft[] = [];
  const open = new Map<number, Draft>();
  let operation = 0;
  for (const event of events) {
    const first = operation;
    if (event.kind === "delete") {
      operation += event.keys.values.length;
      continue;
    }
    operation += event.rows;
    const part = aliveRows(event, keys, first);
    const number = partitions.numberOf(event);
    let draft = open.get(number);
    const bytes = part.fieldsData.reduce((sum, item) => sum + item.length, 0);
    if (draft === undefined || (draft.bytes > 0 && draft.bytes + bytes > maxBytes)) {
      draft = { number, parts: [], bytes: 0, sourceRows: 0 };
      drafts.push(draft);
      open.set(number, draft);
    }
    draft.sourceRows += event.rows;
    if (part.rows === 0) continue;
    draft.parts.push(part);
    draft.bytes += bytes;
  }
  return drafts.filter((draft) => draft.parts.length > 0).flatMap((draft) => finishDraft(draft, partitions));
}

/** The message as it is if all of its rows stay. */
function aliveRows(event: InsertEvent, keys: FoldKeys, first: number): RowsPart {
  let alive = 0;
  for (let row = 0; row < event.rows; row++) alive += keys.alive[first + row]!;
  if (alive === event.rows) return event;
  if (alive === 0) return { rows: 0, fieldsData: [] };
  const keep = new Uint32Array(alive);
  let at = 0;
  for (let row = 0; row < event.rows; row++) if (keys.alive[first + row] === 1) keep[at++] = row;
  return { rows: alive, fieldsData: selectRows(event.fieldsData, event.rows, keep) };
}

function finishDraft(draft: Draft, partitions: Partitions): FoldedWrite[] {
  const partition = partitions.of(draft.number, "insert");
  if (partition === undefined) throw new TidemarkError("damaged", "An insert record names no partition");
  const base = { partitionId: partition.id, partitionName: partition.name };
  const merged = mergeFieldsData(draft.parts);
  if (merged !== undefined) {
    const rows = draft.parts.reduce((sum, part) => sum + part.rows, 0);
    const { sourceRows } = draft;
    return [{ ...base, rows, fieldsData: merged, sourceRows, superseded: sourceRows - rows }];
  }
  // The schema changed between two messages: each goes as it is.
  return draft.parts.map(({ rows, fieldsData }) => ({ ...base, rows, fieldsData, sourceRows: rows, superseded: 0 }));
}
