/** What the store has of a collection's files. */
import type { ObjectInfo, ObjectStore, Segment } from "../../pipeline/model/mod.ts";
import { deltaFolder, insertFolder, parseLogPath, segmentFolder } from "./path.ts";

export interface ListingPlace {
  readonly store: ObjectStore;
  /** Key of a path below the root, and back. */
  readonly keyOf: (path: string) => string;
  readonly pathOf: (key: string) => string;
}

/** By path below the root. */
export interface Listing {
  readonly inserts: ReadonlyMap<string, ObjectInfo>;
  readonly deltas: ReadonlyMap<string, ObjectInfo>;
  /** The segments whose insert files were looked for. */
  readonly segments: readonly Segment[];
}

/** Folders listed at once. */
const AT_ONCE = 16;
/** Beyond one segment of so many, one listing of them all asks less: it brings a thousand files with a request. */
const FEW = 4;

/**
 * `segments`: all of the collection. Delta files are listed whatever their segment; insert files of those in `only` alone, where
 * they are few. A segment kept by a manifest has its deletes beside its rows: with one of those all is listed.
 */
export async function listFiles(
  place: ListingPlace,
  collectionId: bigint,
  segments: readonly Segment[],
  only: ReadonlySet<bigint> | undefined,
  signal: AbortSignal,
): Promise<Listing> {
  const wanted = only === undefined || segments.some(({ manifestPath }) => manifestPath !== "")
    ? segments
    : segments.filter(({ id }) => only.has(id));
  const few = wanted !== segments && wanted.length * FEW <= segments.length;
  const folders = few ? wanted.map(segmentFolder) : [insertFolder(collectionId)];
  const inserts = new Map<string, ObjectInfo>();
  const deltas = new Map<string, ObjectInfo>();
  const list = async (folder: string, found: Map<string, ObjectInfo>) => {
    for await (const info of place.store.list(place.keyOf(folder), signal)) found.set(place.pathOf(info.key), info);
  };
  await inParallel([
    () => list(deltaFolder(collectionId), deltas),
    ...folders.map((folder) => () => list(folder, inserts)),
  ], AT_ONCE);
  if (wanted === segments) {
    for (const [path, info] of inserts) if (parseLogPath(path)?.kind === "delta") deltas.set(path, info);
  }
  return { inserts, deltas, segments: wanted };
}

/** Runs all, `atOnce` at once. */
export async function inParallel(tasks: readonly (() => Promise<void>)[], atOnce: number): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < tasks.length) await tasks[next++]!();
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, tasks.length) }, worker));
}
