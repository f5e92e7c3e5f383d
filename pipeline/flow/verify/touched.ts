/** Which keys may be in motion: touched by the source since what the copy surely has, so that a difference of them says nothing. */
import { keysOf, keysOfColumn } from "../../columns/mod.ts";
import { TidemarkError } from "../../errors.ts";
import { type Collection, type HybridTs, primaryKey, type Snapshot } from "../../model/mod.ts";
import { forgottenSegment, latestRowTs, liveSegments, makeCuts, planStep } from "../../transforms/mod.ts";
import type { FlowDependencies } from "../dependencies.ts";
import { type FilesState, parseRunState, type SinkState } from "../state/mod.ts";
import { isBehind, type Tail } from "./log.ts";

/** `unknown`: why nobody can tell. */
export type Touched = { readonly keys: ReadonlySet<string> } | { readonly unknown: string };

/** By the log. */
export async function touchedInLog(
  deps: FlowDependencies,
  collection: Collection,
  tails: ReadonlyMap<string, Tail>,
  own: SinkState | undefined,
  signal: AbortSignal,
): Promise<Touched> {
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
        if (event.kind === "block" && event.predicate !== undefined) return { unknown: event.reason };
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
  return { keys: touched };
}

export interface FilesComparison {
  /** Of the compared cuts, and the collection as it was in it. */
  readonly snapshot: Snapshot;
  readonly collection: Collection;
  readonly sink: string;
  /** The state before the target was read. */
  readonly own: SinkState;
}

/**
 * By the files as they are now, after the target was read. Rows and deletes later than the compared cuts, or than those of the
 * copy where it is behind them: the copy may have brought them meanwhile, or a compaction purged a row by them already. Where a
 * segment was collected in between that the copy may have seen, its deletes have left no trace.
 */
export async function touchedInFiles(
  deps: FlowDependencies,
  { snapshot, collection, sink, own }: FilesComparison,
  signal: AbortSignal,
): Promise<Touched> {
  const { id } = collection;
  const now = await deps.meta.snapshot(signal);
  const live = now.catalog.collections.find((item) => item.id === id);
  if (live === undefined) return { unknown: "the source dropped it meanwhile" };
  const text = await deps.state.read(signal);
  const later = text === undefined ? undefined : parseRunState(text, deps.state.location).sinks.get(sink);
  const before = own.collections.get(id)?.files;
  const known = new Set([
    ...segmentsOf(before),
    ...segmentsOf(later?.collections.get(id)?.files),
    ...liveSegments(snapshot, collection).map((segment) => segment.id),
  ]);
  const all = now.segments.filter(({ collectionId }) => collectionId === id);
  const files = await deps.binlogs.verify(id, all, signal);
  const forgotten = forgottenSegment(now, live, known, (file) => files.listed(file) !== undefined);
  if (forgotten !== undefined) return { unknown: forgotten };
  const cuts = new Map(live.vchannels.map((name) => [name, own.vchannels.get(name)?.ts ?? 0n]));
  for (const { vchannel, ts } of makeCuts(snapshot, [collection])) {
    if (ts < (cuts.get(vchannel) ?? 0n)) cuts.set(vchannel, ts);
  }
  const seen = new Set(before?.segments ?? []);
  const { after } = planStep(now, live, { cuts, segments: seen });
  const touched = new Set<string>();
  const key = primaryKey(live.schema)!;
  for (const segment of liveSegments(now, live)) {
    const from = after.get(segment.vchannel) ?? 0n;
    if (seen.has(segment.id) && latestRowTs(segment) <= from) continue;
    for await (const batch of deps.binlogs.rows(segment, live.schema, [1n, key.fieldID], signal)) {
      const column = batch.columns.find(({ fieldId }) => fieldId === key.fieldID);
      if (column === undefined || batch.timestamps === undefined) {
        throw new TidemarkError("damaged", `Segment ${segment.id} has no files of its primary key or Timestamp field`);
      }
      add(touched, keysOfColumn(column).values, batch.timestamps, from);
    }
  }
  // Of a forgotten segment nobody knows the channel.
  const least = [...after.values()].reduce((min, ts) => ts < min ? ts : min);
  for (const file of files.deltaFiles) {
    for await (const mark of deps.binlogs.deletes(file, signal)) add(touched, mark.keys.values, mark.timestamps, least);
  }
  return { keys: touched };
}

function segmentsOf(files: FilesState | undefined): readonly bigint[] {
  return files === undefined ? [] : [...files.segments, ...files.begun];
}

function add(
  touched: Set<string>,
  keys: ArrayLike<bigint | string>,
  timestamps: ArrayLike<HybridTs>,
  from: HybridTs,
): void {
  for (let i = 0; i < keys.length; i++) if (timestamps[i]! > from) touched.add(String(keys[i]!));
}
