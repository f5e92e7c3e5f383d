/** Puts what an import reads where the target finds it: files that lie in its storage already are left where they are. */
import { TidemarkError } from "../../errors.ts";
import type { BinlogSource, BulkImport, Collection, HybridTs, ObjectStore, Segment } from "../../model/mod.ts";
import type { ImportUnit } from "../state/mod.ts";
import { bytesOf, type DividedSegment, type Portion } from "./plan.ts";

export interface ImportFilesOptions {
  readonly binlogs: Pick<BinlogSource, "object">;
  readonly bulk: BulkImport;
  readonly collection: Collection;
  /** Folder of the target's storage, with a slash at its end, for this collection alone. */
  readonly folder: string;
  readonly writtenAt: HybridTs;
}

const COPIES_AT_ONCE = 16;
/** Up to this size an object is read and written whole, which a retry can repeat. */
const WHOLE_BYTES = 8n << 20n;

/** From this size on a segment that lies in place is imported by itself rather than copied together with others. */
const ALONE_BYTES = 64n << 20n;

/**
 * The files of one portion as the units by which it is imported: one, for each takes the target some seconds, unless several
 * spare the copying of much. `number`: of the first.
 */
export async function prepareUnits(
  options: ImportFilesOptions,
  portion: Portion,
  number: number,
  signal: AbortSignal,
): Promise<ImportUnit[]> {
  const { segments } = portion;
  const there = await foundInPlace(options, segments, signal);
  if (there === undefined && segments.length > 1 && portion.bytes >= ALONE_BYTES * BigInt(segments.length)) {
    const places: (string | undefined)[] = [];
    for (const segment of segments) places.push(await foundInPlace(options, [segment], signal));
    if (places.every((place) => place !== undefined)) {
      return await Promise.all(segments.map((segment, i) => {
        const alone = { ...portion, segments: [segment], bytes: bytesOf(segment.segment) };
        return prepareUnit(options, alone, places[i], number + i, signal);
      }));
    }
  }
  return [await prepareUnit(options, portion, there, number, signal)];
}

async function prepareUnit(
  options: ImportFilesOptions,
  portion: Portion,
  there: string | undefined,
  number: number,
  signal: AbortSignal,
): Promise<ImportUnit> {
  const { bulk, collection, folder } = options;
  const own = `${folder}${number}/`;
  if (there === undefined) await copyInserts(options, portion.segments, `${own}insert_log/`, signal);
  const withDeletes = portion.segments.filter(({ deletes }) => deletes !== undefined);
  for (const { segment, deletes } of withDeletes) {
    const of = { collectionId: collection.id, partitionId: segment.partitionId, segmentId: segment.id };
    const bytes = bulk.encodeDeletes(deletes!, of, options.writtenAt);
    await bulk.store.put(`${own}delta_log/${segment.id}/1`, bytes, {}, signal);
  }
  return {
    partition: collection.partitions.find(({ id }) => id === portion.partitionId)!.name,
    segments: portion.segments.map(({ segment }) => segment.id),
    inserts: bulk.path(there ?? `${own}insert_log/`),
    deletes: withDeletes.length === 0 ? "" : bulk.path(`${own}delta_log/`),
    endMs: portion.endMs ?? 0n,
    rows: portion.segments.reduce((sum, { imported }) => sum + BigInt(imported), 0n),
    bytes: portion.bytes,
    phase: "planned",
    task: 0n,
  };
}

interface Placed {
  readonly store: ObjectStore;
  readonly key: string;
  /** `<segment>/<field>/<log>`. */
  readonly path: string;
}

function objectsOf({ binlogs }: ImportFilesOptions, segment: Segment): Placed[] {
  return segment.binlogs.flatMap(({ fieldId, files }) =>
    files.map((file) => ({ ...binlogs.object(file), path: `${segment.id}/${fieldId}/${file.logId}` }))
  );
}

/**
 * The folder below which the target's storage has these segments' insert files in the order that an import understands, and
 * nothing else; undefined where there is none.
 */
async function foundInPlace(
  options: ImportFilesOptions,
  segments: readonly DividedSegment[],
  signal: AbortSignal,
): Promise<string | undefined> {
  const { bulk } = options;
  const keys = new Set<string>();
  for (const { segment } of segments) {
    for (const { store, key, path } of objectsOf(options, segment)) {
      const own = bulk.within(store, key);
      if (own === undefined || !own.endsWith(`/${path}`)) return undefined;
      keys.add(own);
    }
  }
  // Of one segment its own folder: the field's and the file's names are left out.
  const folder = commonFolder([...keys].map((key) => key.split("/").slice(0, -2).join("/")));
  if (folder === "") return undefined;
  let found = 0;
  for await (const { key } of bulk.store.list(folder, signal)) {
    if (!keys.has(key)) return undefined;
    found++;
  }
  return found === keys.size ? folder : undefined;
}

/** The longest folder that all of these folders are in or are, with a slash at its end; empty if there is none. */
export function commonFolder(folders: readonly string[]): string {
  const parts = folders.map((folder) => folder.split("/"));
  const first = parts[0] ?? [];
  let length = 0;
  while (length < first.length && parts.every((part) => part[length] === first[length])) length++;
  return length === 0 ? "" : `${first.slice(0, length).join("/")}/`;
}

async function copyInserts(
  options: ImportFilesOptions,
  segments: readonly DividedSegment[],
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  const objects = segments.flatMap(({ segment }) => objectsOf(options, segment));
  let next = 0;
  const worker = async () => {
    while (next < objects.length) {
      const { store, key, path } = objects[next++]!;
      await copyObject(store, key, options.bulk.store, folder + path, signal);
    }
  };
  const results = await Promise.allSettled(Array.from({ length: Math.min(COPIES_AT_ONCE, objects.length) }, worker));
  for (const result of results) if (result.status === "rejected") throw result.reason;
}

/** By the server where it can. */
async function copyObject(
  source: ObjectStore,
  sourceKey: string,
  target: ObjectStore,
  key: string,
  signal: AbortSignal,
): Promise<void> {
  if (await target.copyFrom(source, sourceKey, key, signal)) return;
  const info = await source.head(sourceKey, signal);
  if (info === undefined) throw new TidemarkError("not_found", `No object ${sourceKey} in ${source.location}`);
  const whole = info.size <= WHOLE_BYTES;
  const body = whole ? await source.get(sourceKey, undefined, signal) : source.stream(sourceKey, signal);
  const { size } = await target.put(key, body, {}, signal);
  if (size === info.size) return;
  throw new TidemarkError("damaged", `${key} has ${size} bytes, ${sourceKey} in ${source.location} has ${info.size}`);
}

/** Removes everything below the folder. */
export async function removeFolder({ store }: BulkImport, folder: string, signal: AbortSignal): Promise<void> {
  if (folder === "") return;
  const keys: string[] = [];
  for await (const { key } of store.list(folder, signal)) keys.push(key);
  await store.delete(keys, signal);
}
