/** What the source's files and log say of a collection at a moment: the expectation that `verify` compares with. */
import { encodeColumn, keysOf, rowDigests } from "../../columns/mod.ts";
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
import { completeColumns, DeadRows, deleteHorizon, makeCuts } from "../../transforms/mod.ts";
import { readLogDeletes } from "../base/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import type { SinkState } from "../state/mod.ts";

/** A log that has ended for so long before what was written was confirmed has no writer any more. */
const ABANDONED_MS = 10_000;

export interface TailOp {
  readonly partition: bigint;
  readonly key: bigint | string;
  /** Undefined: a delete. */
  readonly digest: bigint | undefined;
  readonly ts: HybridTs;
}

export interface Tail {
  readonly tick: HybridTs;
  /** Where the log goes on behind the compared moment. */
  readonly offset: bigint;
  readonly events: readonly TailOp[];
}

/** The log of a pchannel from the cuts to its end: what it does to each key. */
export async function readTail(
  deps: FlowDependencies,
  snapshot: Snapshot,
  selected: readonly Collection[],
  pchannel: string,
  signal: AbortSignal,
): Promise<{ tick: HybridTs; offset: bigint; channels: Map<string, TailOp[]> }> {
  const cuts = makeCuts(snapshot, selected).filter((cut) => cut.pchannel === pchannel);
  const channels = new Map<string, TailOp[]>(cuts.map((cut) => [cut.vchannel, []]));
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
    for (const event of group.events) {
      const ops = channels.get(event.vchannel);
      const collection = "collectionId" in event ? byId.get(event.collectionId) : undefined;
      if (ops === undefined || collection === undefined) continue;
      if (event.kind === "insert") {
        const keys = keysOf(event.fieldsData, primaryKey(collection.schema)!, event.rows).values;
        const digests = rowDigests(event.fieldsData, event.rows);
        keys.forEach((key, i) => ops.push({ partition: event.partitionId, key, digest: digests[i]!, ts: event.ts }));
      } else if (event.kind === "delete") {
        event.keys.values.forEach((key) =>
          ops.push({ partition: event.partitionId, key, digest: undefined, ts: event.ts })
        );
      }
    }
    if (isBehind(group, bounds.latest)) return { tick: group.tick, offset: group.resume.offset, channels };
  }
  throw new TidemarkError("unexpected", `The log of ${pchannel} ended while it was read`);
}

/** A tick behind `latest`, or the log ends there and nothing waits for one: no tick comes where nothing is written. */
function isBehind({ resume, end }: TickGroup, latest: Position): boolean {
  if (resume.offset >= latest) return true;
  return end !== undefined && end.offset >= latest && (end.waiting === undefined || end.sinceMs >= ABANDONED_MS);
}

/** Rows of the log's state at the compared moment: `partition/key` -> digest, keys of this part. */
export async function expectedRows(
  deps: FlowDependencies,
  snapshot: Snapshot,
  collection: Collection,
  segments: readonly Segment[],
  tails: ReadonlyMap<string, Tail>,
  part: number,
  parts: number,
  signal: AbortSignal,
): Promise<Map<string, bigint>> {
  const key = primaryKey(collection.schema)!;
  const scoped = partitionKey(collection.schema) === undefined;
  const expected = new Map<string, bigint>();
  const cuts = makeCuts(snapshot, [collection]);
  const horizons = deleteHorizon(snapshot, collection);
  const deletes = await readLogDeletes(deps, cuts.map((cut) => ({ cut, horizon: horizons.get(cut.vchannel) })), signal);
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
      for await (const batch of deps.binlogs.rows(segment, collection.schema, "all", signal)) {
        const fieldsData = completeColumns(collection.schema, batch, segment).map((column) => encodeColumn(column));
        const keys = keysOf(fieldsData, key, batch.rows).values;
        const digests = rowDigests(fieldsData, batch.rows);
        for (let row = 0; row < batch.rows; row++) {
          if (gone.has(batch.firstRow + row) || partOf(keys[row]!, parts) !== part) continue;
          expected.set(nameOf(scoped ? segment.partitionId : 0n, keys[row]!), digests[row]!);
        }
      }
    }
    for (const op of tails.get(cut.vchannel)?.events ?? []) {
      if (partOf(op.key, parts) !== part) continue;
      if (op.digest !== undefined) {
        if (!scoped || partitions.has(op.partition)) {
          expected.set(nameOf(scoped ? op.partition : 0n, op.key), op.digest);
        }
      } else if (!scoped) {
        expected.delete(nameOf(0n, op.key));
      } else if (op.partition === -1n) {
        for (const id of partitions) expected.delete(nameOf(id, op.key));
      } else {
        expected.delete(nameOf(op.partition, op.key));
      }
    }
  }
  return expected;
}

function completeKeys(batch: Parameters<typeof completeColumns>[1], fieldId: bigint): Keys {
  const column = batch.columns.find((item) => item.fieldId === fieldId);
  if (column === undefined) throw new TidemarkError("damaged", "A segment has no files of its primary key");
  return keysOf([encodeColumn(column)], { fieldID: fieldId, name: column.name, dataType: column.type }, batch.rows);
}

/** Keys that the log touched after what the copy surely has. */
export async function touchedSince(
  deps: FlowDependencies,
  collection: Collection,
  tails: ReadonlyMap<string, Tail>,
  own: SinkState | undefined,
  signal: AbortSignal,
): Promise<Set<string>> {
  const touched = new Set<string>();
  for (let i = 0; i < collection.vchannels.length; i++) {
    const vchannel = collection.vchannels[i]!;
    const pchannel = collection.pchannels[i]!;
    const tail = tails.get(vchannel);
    if (tail === undefined) continue;
    const bounds = await deps.log.bounds(pchannel, signal);
    const position = own?.positions.get(pchannel);
    const from = position !== undefined && position.tick < tail.tick
      ? position
      : { offset: tail.offset, tick: tail.tick };
    const groups = deps.follow({
      pchannel,
      from,
      topicId: bounds.topicId,
      select: (event) => event.vchannel === vchannel,
    }, signal);
    for await (const group of groups) {
      for (const event of group.events) {
        if (event.kind === "delete") { for (const key of event.keys.values) touched.add(String(key)); }
        if (event.kind === "insert") {
          for (const key of keysOf(event.fieldsData, primaryKey(collection.schema)!, event.rows).values) {
            touched.add(String(key));
          }
        }
      }
      if (isBehind(group, bounds.latest)) break;
    }
  }
  return touched;
}

/** One text for a partition and key. */
export function nameOf(partition: bigint, key: bigint | string): string {
  return typeof key === "bigint" ? `${partition}/i${key}` : `${partition}/s${key}`;
}

/** Which part a key is in: a small hash, only to spread. */
export function partOf(key: bigint | string, parts: number): number {
  if (parts === 1) return 0;
  if (typeof key === "bigint") return Number(BigInt.asUintN(64, key * 0x9E3779B97F4A7C15n) >> 40n) % parts;
  let hash = 2166136261;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 16777619);
  return (hash >>> 0) % parts;
}
