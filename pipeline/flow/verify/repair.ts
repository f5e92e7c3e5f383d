/**
 * Rewrites what a comparison found different: the rows as the source's files and log have them at the compared moment, and
 * the keys that nobody but the target has are deleted. Only keys that the log did not touch since where the copy stands come
 * here, so the next run goes on as if nothing had been.
 */
import { mergeFieldsData } from "../../columns/mod.ts";
import { type AgreedColumn, type Collection, partitionKey, type Snapshot, type TargetName } from "../../model/mod.ts";
import { agreedRows, liveSegments } from "../../transforms/mod.ts";
import type { FlowDependencies, RowSinkSetup } from "../dependencies.ts";
import { keysFrom } from "./by_key.ts";
import { viewOf } from "./view.ts";
import type { FoundDifference } from "./compare.ts";
import { type LoggedRow, partsOfName, readTail, replay, type Tail, type TailOp } from "./log.ts";

/** Rows that were rewritten or deleted, by what was wrong with them. */
export interface Repaired {
  readonly missing: number;
  readonly content: number;
  readonly unfindable: number;
  /** Deleted. */
  readonly extra: number;
  /** Extra rows of a target that had rows before (`on_existing: merge`): whose they are is not known, so they stay. */
  readonly left: number;
}

export const NOTHING_REPAIRED: Repaired = { missing: 0, content: 0, unfindable: 0, extra: 0, left: 0 };

export interface RepairJob {
  readonly deps: FlowDependencies;
  readonly snapshot: Snapshot;
  readonly collection: Collection;
  readonly setup: RowSinkSetup;
  readonly target: TargetName;
  readonly agreed: readonly AgreedColumn[];
  readonly tails: ReadonlyMap<string, Tail>;
  readonly differences: readonly FoundDifference[];
}

/** Rows that are held at once; more take another reading of the source. */
const ROWS_AT_ONCE = 50_000;
const ROWS_PER_WRITE = 2000;

export async function repairCollection(job: RepairJob, signal: AbortSignal): Promise<Repaired> {
  const { differences, setup } = job;
  const extra = differences.filter(({ kind }) => kind === "extra");
  const isMerged = setup.onExisting === "merge";
  if (!isMerged) await removeRows(job, extra, signal);
  const rewritten = new Map<string, FoundDifference>();
  for (const difference of differences) if (difference.kind !== "extra") rewritten.set(difference.name, difference);
  // What is extra and has no row in the log is nothing to write, also where it cannot be found.
  for (const { name } of extra) rewritten.delete(name);
  const names = [...rewritten.keys()];
  for (let at = 0; at < names.length; at += ROWS_AT_ONCE) {
    await writeRows(job, new Set(names.slice(at, at + ROWS_AT_ONCE)), signal);
  }
  const count = (kind: FoundDifference["kind"]) => [...rewritten.values()].filter((item) => item.kind === kind).length;
  return {
    missing: count("missing"),
    content: count("content"),
    unfindable: count("unfindable"),
    extra: isMerged ? 0 : extra.length,
    left: isMerged ? extra.length : 0,
  };
}

async function removeRows(
  { collection, setup, target }: RepairJob,
  extra: readonly FoundDifference[],
  signal: AbortSignal,
): Promise<void> {
  const names = new Map(collection.partitions.map(({ id, name }) => [id, name]));
  const byPartition = Map.groupBy(extra.map(({ name }) => partsOfName(name)), ({ partition }) => partition);
  for (const [partition, rows] of byPartition) {
    await setup.sink.remove({
      collectionId: collection.id,
      target,
      partition: names.get(partition),
      keys: keysFrom(rows.map(({ key }) => key)),
    }, signal);
  }
}

async function writeRows(job: RepairJob, names: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
  const { deps, snapshot, collection, setup, target, agreed } = job;
  const keys = new Set([...names].map((name) => partsOfName(name).key));
  const rows = new Map<string, { partition: bigint; fieldsData: readonly Uint8Array[] }>();
  const visitor = {
    wants: (key: bigint | string) => keys.has(key),
    insert: ({ name, partition, fieldsData }: LoggedRow) => {
      if (names.has(name)) rows.set(name, { partition, fieldsData: fieldsData() });
    },
    remove: (name: string) => void rows.delete(name),
    view: viewOf(collection, agreed, { fills: true }),
    digestOf: () => 0n,
  };
  const tails = await tailsWithRows(job, keys, signal);
  await replay(deps, snapshot, collection, liveSegments(snapshot, collection), tails, visitor, signal);
  const partitions = new Map(collection.partitions.map(({ id, name }) => [id, name]));
  const keyed = partitionKey(collection.schema) !== undefined;
  for (const [id, own] of Map.groupBy(rows.values(), ({ partition }) => keyed ? 0n : partition)) {
    const partition = partitions.get(id) ?? "";
    for (let at = 0; at < own.length; at += ROWS_PER_WRITE) {
      const pieces = own.slice(at, at + ROWS_PER_WRITE).map(({ fieldsData }) => ({ rows: 1, fieldsData }));
      const merged = mergeFieldsData(pieces);
      // Rows of before and after a change of the schema go one by one.
      const requests = merged === undefined ? pieces : [{ rows: pieces.length, fieldsData: merged }];
      for (const request of requests) {
        const { fieldsData } = agreedRows(agreed, request.fieldsData, request.rows);
        await setup.sink.write(
          { collectionId: collection.id, target, partition, mode: "upsert", ...request, fieldsData },
          signal,
        );
      }
    }
  }
}

/** The collection's tails up to the compared moment once more, with the rows of these keys. */
async function tailsWithRows(
  { deps, snapshot, collection, tails }: RepairJob,
  keys: ReadonlySet<bigint | string>,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, { readonly events: readonly TailOp[] }>> {
  const found = new Map<string, { events: readonly TailOp[] }>();
  for (let i = 0; i < collection.vchannels.length; i++) {
    const vchannel = collection.vchannels[i]!;
    const tail = tails.get(vchannel);
    // An empty one need not be read again.
    if (tail === undefined || tail.events.length === 0) continue;
    const request = {
      pchannel: collection.pchannels[i]!,
      upTo: tail.tick,
      keep: (_collection: Collection, key: bigint | string) => keys.has(key),
    };
    const { channels } = await readTail(deps, snapshot, [collection], request, signal);
    found.set(vchannel, { events: channels.get(vchannel) ?? [] });
  }
  return found;
}
