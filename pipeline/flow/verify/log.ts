/** What the source's files and log say of a collection at a moment: every row of them, in the order in which it came. */
import { encodeColumn, type KeyField, keysOf, selectRows } from "../../columns/mod.ts";
import { TidemarkError } from "../../errors.ts";
import {
  type Collection,
  type HybridTs,
  type Keys,
  partitionKey,
  type Position,
  primaryKey,
  type Segment,
  type Snapshot,
  type TickGroup,
} from "../../model/mod.ts";
import { completeColumns, DeadRows, deleteHorizon, homePartition, makeCuts } from "../../transforms/mod.ts";
import { readLogDeletes, unreadableDeletes } from "../base/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import type { RowDigest, View, Views } from "./view.ts";

/** A log that has ended for so long before what was written was confirmed has no writer any more. */
const ABANDONED_MS = 10_000;

export interface TailOp {
  readonly partition: bigint;
  readonly key: bigint | string;
  /** Undefined: a delete. */
  readonly digest: RowDigest | undefined;
  readonly ts: HybridTs;
  /** An insert into another partition than its partition key's. */
  readonly misplaced: boolean;
  /** The row, where it was asked for. */
  readonly fieldsData: readonly Uint8Array[] | undefined;
}

export interface Tail {
  readonly tick: HybridTs;
  /** Where the log goes on behind the compared moment. */
  readonly offset: bigint;
  readonly events: readonly TailOp[];
  /** A delete by predicate is among them: which rows it met is not told by the log. */
  readonly predicate: string | undefined;
}

export interface TailRequest {
  readonly pchannel: string;
  /** Nothing later counts. Default: the end of the log. */
  readonly upTo?: HybridTs;
  /** How rows must look on each sink. Default: their digests do not matter. */
  readonly views?: (collection: Collection) => Views | undefined;
  /** Rows that are kept whole. Default: none. */
  readonly keep?: (collection: Collection, key: bigint | string) => boolean;
}

export interface LoggedTail {
  readonly tick: HybridTs;
  readonly offset: bigint;
  readonly channels: ReadonlyMap<string, TailOp[]>;
  /** vchannel -> see {@link Tail.predicate}. */
  readonly predicates: ReadonlyMap<string, string>;
}

/** The log of a pchannel from the cuts to its end: what it does to each key. */
export async function readTail(
  deps: FlowDependencies,
  snapshot: Snapshot,
  selected: readonly Collection[],
  { pchannel, upTo, keep, views }: TailRequest,
  signal: AbortSignal,
): Promise<LoggedTail> {
  const cuts = makeCuts(snapshot, selected).filter((cut) => cut.pchannel === pchannel);
  const channels = new Map<string, TailOp[]>(cuts.map((cut) => [cut.vchannel, []]));
  const predicates = new Map<string, string>();
  const byId = new Map(selected.map((collection) => [collection.id, collection]));
  const cutTs = new Map(cuts.map((cut) => [cut.vchannel, cut.ts]));
  const bounds = await deps.log.bounds(pchannel, signal);
  const offset = cuts.reduce((min, cut) => cut.offset < min ? cut.offset : min, bounds.latest);
  const groups = deps.follow({
    pchannel,
    from: { offset, tick: 0n },
    topicId: bounds.topicId,
    select: (event) => cutTs.has(event.vchannel) && event.ts > cutTs.get(event.vchannel)!,
  }, signal);
  for await (const group of groups) {
    if (upTo !== undefined && group.tick > upTo) {
      return { tick: group.tick, offset: group.resume.offset, channels, predicates };
    }
    for (const event of group.events) {
      const ops = channels.get(event.vchannel);
      const collection = "collectionId" in event ? byId.get(event.collectionId) : undefined;
      if (ops === undefined || collection === undefined) continue;
      const { ts } = event;
      if (event.kind === "insert") {
        const { fieldsData, rows, partitionId: partition } = event;
        const keys = keysOf(fieldsData, primaryKey(collection.schema)!, rows).values;
        const digest = views?.(collection)?.digests(fieldsData, rows) ?? (() => 0n);
        const homes = homesOf(collection, fieldsData, rows);
        keys.forEach((key: bigint | string, row: number) => {
          const whole = keep?.(collection, key) === true ? oneRow(fieldsData, rows, row) : undefined;
          const misplaced = homes !== undefined && homes[row] !== partition;
          ops.push({ partition, key, digest: digest(row), ts, misplaced, fieldsData: whole });
        });
      } else if (event.kind === "block" && event.predicate !== undefined) {
        predicates.set(event.vchannel, event.reason);
      } else if (event.kind === "delete") {
        const { partitionId: partition } = event;
        event.keys.values.forEach((key: bigint | string) =>
          ops.push({ partition, key, digest: undefined, ts, misplaced: false, fieldsData: undefined })
        );
      }
    }
    if (isBehind(group, bounds.latest)) {
      return { tick: group.tick, offset: group.resume.offset, channels, predicates };
    }
  }
  throw new TidemarkError("unexpected", `The log of ${pchannel} ended while it was read`);
}

/** A tick behind `latest`, or the log ends there and nothing waits for one: no tick comes where nothing is written. */
export function isBehind({ resume, end }: TickGroup, latest: Position): boolean {
  if (resume.offset >= latest) return true;
  return end !== undefined && end.offset >= latest && (end.waiting === undefined || end.sinceMs >= ABANDONED_MS);
}

/** A row that was inserted. `name`: of the row, as {@link nameOf} makes it. */
export interface LoggedRow {
  readonly name: string;
  readonly partition: bigint;
  readonly ts: HybridTs;
  readonly misplaced: boolean;
  digest(): bigint;
  fieldsData(): readonly Uint8Array[];
}

export interface LogVisitor {
  /** How the rows are read and what their digests are. */
  readonly view: View;
  /** The digest of a row of the tail. */
  digestOf(digest: RowDigest): bigint;
  /** Rows of other keys are passed over. */
  wants(key: bigint | string): boolean;
  insert(row: LoggedRow): void;
  remove(name: string): void;
}

/** Brings the state of the log at the compared moment: base rows, less deletes, then the tail. */
export async function replay(
  deps: FlowDependencies,
  snapshot: Snapshot,
  collection: Collection,
  segments: readonly Segment[],
  tails: ReadonlyMap<string, Pick<Tail, "events">>,
  visitor: LogVisitor,
  signal: AbortSignal,
): Promise<void> {
  const key = primaryKey(collection.schema)!;
  const scoped = partitionKey(collection.schema) === undefined;
  const cuts = makeCuts(snapshot, [collection]);
  const horizons = deleteHorizon(snapshot, collection);
  const deletes = await readLogDeletes(deps, cuts.map((cut) => ({ cut, horizon: horizons.get(cut.vchannel) })), signal);
  const unknown = unreadableDeletes(deletes, collection.vchannels);
  if (unknown !== undefined) throw unknown;
  const all = snapshot.segments.filter((segment) => segment.collectionId === collection.id);
  const files = await deps.binlogs.verify(collection.id, all, signal);
  const partitions = new Set(collection.partitions.map((partition) => partition.id));
  for (const cut of cuts) {
    const own = segments.filter((segment) => segment.vchannel === cut.vchannel);
    const dead = new DeadRows({
      cutTs: cut.ts,
      deletesUpTo: cut.ts,
      partitions: scoped ? "scoped" : "any",
      part: 0,
      parts: 1,
    });
    for (const mark of deletes.marks.get(cut.vchannel) ?? []) dead.addDeletes(mark);
    for (const file of files.deltaFiles) {
      for await (const mark of deps.binlogs.deletes(file, signal)) dead.addDeletes(mark);
    }
    for (const segment of own) {
      for await (const batch of deps.binlogs.rows(segment, collection.schema, [1n, key.fieldID], signal)) {
        const fields = completeKeys(batch, key.fieldID);
        dead.addRows(segment.id, segment.partitionId, batch.firstRow, fields, batch.timestamps!);
      }
    }
    const found = dead.finish();
    for (const segment of own) {
      const gone = new Set(found.get(segment.id)?.dead ?? []);
      const partition = segment.partitionId;
      for await (const batch of deps.binlogs.rows(segment, visitor.view.schema, "all", signal)) {
        const fieldsData = completeColumns(visitor.view.schema, batch, segment).map((column) => encodeColumn(column));
        const keys = keysOf(fieldsData, key, batch.rows).values;
        let digests: readonly bigint[] | BigUint64Array | undefined;
        const homes = homesOf(collection, fieldsData, batch.rows);
        for (let row = 0; row < batch.rows; row++) {
          if (gone.has(batch.firstRow + row) || !visitor.wants(keys[row]!)) continue;
          visitor.insert({
            name: nameOf(scoped ? partition : 0n, keys[row]!),
            partition,
            ts: batch.timestamps?.[row] ?? cut.ts,
            misplaced: homes !== undefined && homes[row] !== partition,
            digest: () => (digests ??= visitor.view.digests(fieldsData, batch.rows))[row]!,
            fieldsData: () => oneRow(fieldsData, batch.rows, row),
          });
        }
      }
    }
    for (const op of tails.get(cut.vchannel)?.events ?? []) {
      if (!visitor.wants(op.key)) continue;
      const { digest, fieldsData } = op;
      if (digest !== undefined) {
        if (scoped && !partitions.has(op.partition)) continue;
        visitor.insert({
          ...op,
          name: nameOf(scoped ? op.partition : 0n, op.key),
          digest: () => visitor.digestOf(digest),
          fieldsData: () => fieldsData ?? [],
        });
      } else if (!scoped) visitor.remove(nameOf(0n, op.key));
      else if (op.partition === -1n) { for (const id of partitions) visitor.remove(nameOf(id, op.key)); }
      else visitor.remove(nameOf(op.partition, op.key));
    }
  }
}

/** The partition of each row's partition key; undefined where there is none, or where Milvus' way of choosing is not known. */
function homesOf(
  collection: Collection,
  fieldsData: readonly Uint8Array[],
  rows: number,
): readonly bigint[] | undefined {
  const field = partitionKey(collection.schema);
  const home = field === undefined ? undefined : homePartition(collection);
  if (field === undefined || home === undefined) return undefined;
  return Array.from<bigint | string, bigint>(keysOf(fieldsData, field, rows).values, home);
}

function oneRow(fieldsData: readonly Uint8Array[], rows: number, row: number): readonly Uint8Array[] {
  return selectRows(fieldsData, rows, { start: row, end: row + 1 });
}

function completeKeys(batch: Parameters<typeof completeColumns>[1], fieldId: bigint): Keys {
  const column = batch.columns.find((item) => item.fieldId === fieldId);
  if (column === undefined) throw new TidemarkError("damaged", "A segment has no files of its primary key");
  return keysOf([encodeColumn(column)], { fieldID: fieldId, name: column.name, dataType: column.type }, batch.rows);
}

/** A field as it is found in answers of the target, which numbers its fields by itself: by its name. */
export function byName({ name, dataType }: KeyField): KeyField {
  return { fieldID: -1n, name, dataType };
}

/** One text for a partition and key. */
export function nameOf(partition: bigint, key: bigint | string): string {
  return typeof key === "bigint" ? `${partition}/i${key}` : `${partition}/s${key}`;
}

/** The partition and the key of a name. */
export function partsOfName(name: string): { readonly partition: bigint; readonly key: bigint | string } {
  const at = name.indexOf("/");
  const text = name.slice(at + 2);
  return { partition: BigInt(name.slice(0, at)), key: name[at + 1] === "i" ? BigInt(text) : text };
}

/** Which part a key is in: a small hash, only to spread. */
export function partOf(key: bigint | string, parts: number): number {
  return parts === 1 ? 0 : spread(key) % parts;
}

/** 24 or 32 bits of a value, evenly spread. */
export function spread(value: bigint | string): number {
  if (typeof value === "bigint") return Number(BigInt.asUintN(64, value * 0x9E3779B97F4A7C15n) >> 40n);
  let hash = 2166136261;
  for (let i = 0; i < value.length; i++) hash = Math.imul(hash ^ value.charCodeAt(i), 16777619);
  return hash >>> 0;
}
