/** Copies all files of one segment and says how the backup names them. */
import { TidemarkError } from "../../pipeline/errors.ts";
import {
  type BackupSession,
  type DeleteMark,
  hybridFromMs,
  type LogFile,
  type ObjectInfo,
  type ObjectStore,
  type Segment,
  type SegmentCopy,
} from "../../pipeline/model/mod.ts";
import {
  type BackedFieldFiles,
  type BackedFile,
  type BackedSegment,
  checksumOf,
  checksumOfStream,
  deltaPath,
  encodeDeltaFile,
  groupOf,
  insertPath,
  type KeptSegment,
  type ManifestObject,
  type SegmentPlace,
} from "../../stores/mod.ts";
import { copyObject, type CopyTarget } from "./copy.ts";
import type { CopyLedger } from "./ledger.ts";
import type { Slots } from "./slots.ts";

export type ObjectLookup = Parameters<BackupSession["copySegment"]>[1];

export interface SegmentCopyContext {
  readonly target: CopyTarget;
  readonly ledger: CopyLedger;
  readonly slots: Slots;
  /** What the backup's folder held when this session began and the ledger does not know. */
  readonly unrecorded: ReadonlyMap<string, ObjectInfo>;
  readonly now: () => number;
  /** Name and version of the program, for the files that are no copies. */
  readonly createdBy: string;
}

export interface CopiedSegment {
  readonly backed: BackedSegment;
  /** For our own manifest. */
  readonly kept: KeptSegment | undefined;
  readonly paths: readonly string[];
  readonly ownDelta: string | undefined;
  readonly result: SegmentCopy;
}

interface Wanted {
  readonly path: string;
  readonly file: LogFile;
  readonly fieldId: bigint;
  readonly kind: "insert" | "delta";
}

const LEVEL_L0 = 1;

/**
 * `kept`: the files of a segment kept by a manifest (storage V3), which go whole into our own part of the backup, its own
 * delta log among them; milvus-backup's metadata cannot name such a segment. Throws `not_found` for a file that has gone.
 */
export async function copySegmentFiles(
  segment: Segment,
  object: ObjectLookup,
  forgotten: readonly DeleteMark[],
  kept: readonly LogFile[] | undefined,
  context: SegmentCopyContext,
  signal: AbortSignal,
): Promise<CopiedSegment> {
  const byManifest = segment.manifestPath !== "";
  if (byManifest && kept === undefined) {
    throw new TidemarkError("unexpected", `Segment ${segment.id} is kept by a manifest, whose files were not given`);
  }
  const place: SegmentPlace = {
    id: segment.id,
    collectionId: segment.collectionId,
    partitionId: segment.partitionId,
    groupId: groupOf(segment),
  };
  const wanted = byManifest ? keptFiles(kept!) : wantedFiles(segment, place);
  const listings = new Map<string, Promise<Map<string, ObjectInfo>>>();
  const infoOf = async ({ file, kind }: Wanted): Promise<{ store: ObjectStore; key: string; info: ObjectInfo }> => {
    const { store, key, info: known } = object(file);
    if (known !== undefined) return { store, key, info: known };
    const folder = parentOf(key, kind === "insert" ? 2 : 1);
    let listing = listings.get(folder);
    if (listing === undefined) listings.set(folder, listing = listOf(store, folder, signal));
    const info = (await listing).get(key);
    if (info === undefined) throw gone(segment, key);
    return { store, key, info };
  };
  const { target, ledger, slots } = context;
  const copied = await Promise.all(wanted.map((item) =>
    slots.run(async () => {
      signal.throwIfAborted();
      const known = ledger.get(item.path) ?? await recover(item.path, context, infoOf(item), signal);
      if (known !== undefined) return { ...item, object: known, how: "present" as const };
      const { store, key, info } = await infoOf(item);
      try {
        const done = await copyObject({ source: store, sourceKey: key, path: item.path, info }, target, signal);
        ledger.add(done.object);
        return { ...item, ...done };
      } catch (error) {
        if (error instanceof TidemarkError && error.code === "not_found") throw gone(segment, key, error);
        throw error;
      }
    })
  ));
  const own = await writeOwnDelta(segment, place, wanted, forgotten, context, signal);
  await ledger.flush(false, signal);

  const files = (kind: Wanted["kind"]): BackedFieldFiles[] =>
    [...Map.groupBy(copied.filter((item) => item.kind === kind), ({ fieldId }) => fieldId)].map(([fieldId, items]) => ({
      fieldId,
      files: items.map(({ file, object: { size } }): BackedFile => ({
        logId: file.logId,
        size,
        entries: file.entries,
        tsFrom: file.tsFrom,
        tsTo: file.tsTo,
        logPath: object(file).key,
      })),
    }));
  const deltalogs = byManifest ? [] : files("delta");
  if (own !== undefined && !byManifest) {
    const first = deltalogs[0];
    if (first === undefined) deltalogs.push({ fieldId: 0n, files: [own.file] });
    else deltalogs[0] = { ...first, files: [...first.files, own.file] };
  }
  const bytes = copied.reduce((sum, item) => sum + item.object.size, 0n) + (own?.file.size ?? 0n);
  return {
    backed: {
      ...place,
      rows: segment.rows,
      isL0: segment.level === LEVEL_L0,
      vchannel: segment.vchannel,
      storageVersion: segment.storageVersion,
      binlogs: byManifest ? [] : files("insert"),
      deltalogs,
    },
    kept: keptOf(segment, byManifest ? [...copied.map(({ object }) => object), ...own === undefined ? [] : [own]] : []),
    paths: [...wanted.map(({ path }) => path), ...(own === undefined ? [] : [own.path])],
    ownDelta: own?.path,
    result: {
      segmentId: segment.id,
      files: copied.length + (own === undefined ? 0 : 1),
      bytes,
      presentFiles: copied.filter(({ how }) => how === "present").length,
      sharedBytes: copied.filter(({ how }) => how === "shared").reduce((sum, { object: { size } }) => sum + size, 0n),
      ownDeletes: own?.entries ?? 0,
    },
  };
}

/** What our own manifest must say of a segment beside milvus-backup's metadata; undefined: nothing. */
function keptOf(
  segment: Segment,
  objects: readonly { readonly path: string; readonly size: bigint }[],
): KeptSegment | undefined {
  const { id, collectionId, partitionId, vchannel, rows, manifestPath, commitTimestamp } = segment;
  const groups = segment.binlogs.filter(({ childFields }) => childFields.length > 0);
  if (manifestPath === "" && commitTimestamp === 0n && groups.length === 0) return undefined;
  return {
    ...{ id, collectionId, partitionId, vchannel, rows, manifestPath, commitTimestamp },
    rewritten: false,
    childFields: new Map(groups.map(({ fieldId, childFields }) => [fieldId, childFields])),
    files: objects.map(({ path, size }) => ({ path: path.slice(MANIFESTS.length), size })),
  };
}

const MANIFESTS = "manifests/";

function keptFiles(files: readonly LogFile[]): Wanted[] {
  return files.map((file) => ({ path: `${MANIFESTS}${file.path}`, file, fieldId: 0n, kind: "insert" }));
}

function wantedFiles(segment: Segment, place: SegmentPlace): Wanted[] {
  const inserts = segment.binlogs.flatMap(({ fieldId, files }) =>
    files.map((file): Wanted => ({
      path: `binlogs/${insertPath(place, fieldId, file.logId)}`,
      file,
      fieldId,
      kind: "insert",
    }))
  );
  const deltas = segment.deltalogs.flatMap(({ files }) =>
    files.map((file): Wanted => ({ path: `binlogs/${deltaPath(place, file.logId)}`, file, fieldId: 0n, kind: "delta" }))
  );
  return [...new Map([...inserts, ...deltas].map((item) => [item.path, item])).values()];
}

/** Copied by a run that was killed before it could note it: there and as long as its source, so only read for the checksum. */
async function recover(
  path: string,
  { target, ledger, unrecorded }: SegmentCopyContext,
  source: Promise<{ info: ObjectInfo }>,
  signal: AbortSignal,
): Promise<ManifestObject | undefined> {
  const there = unrecorded.get(path);
  const expected = await source.then(({ info }) => info, () => undefined);
  if (there === undefined || expected === undefined || there.size !== expected.size) return undefined;
  const { sum, bytes } = await checksumOfStream(target.store.stream(`${target.name}/${path}`, signal), "sha256");
  if (bytes !== there.size) return undefined;
  const object = { path, size: bytes, sum };
  ledger.add(object);
  return object;
}

/**
 * Deletes that metadata does not name, as one more delta log in the segment's folder. Its number is one above all others of
 * the segment; numbers only have to differ within the folder.
 */
async function writeOwnDelta(
  segment: Segment,
  place: SegmentPlace,
  wanted: readonly Wanted[],
  forgotten: readonly DeleteMark[],
  { target, ledger, slots, now }: SegmentCopyContext,
  signal: AbortSignal,
): Promise<{ path: string; size: bigint; file: BackedFile; entries: number } | undefined> {
  const delta = encodeDeltaFile(forgotten, {
    collectionId: segment.collectionId,
    partitionId: segment.partitionId,
    segmentId: segment.id,
    writtenAt: hybridFromMs(now()),
  });
  if (delta === undefined) return undefined;
  const ids = wanted.map(({ file }) => file.logId);
  const logId = ids.reduce((max, id) => id > max ? id : max, segment.id) + 1n;
  const { collectionId, partitionId, id } = segment;
  const path = segment.manifestPath === ""
    ? `binlogs/${deltaPath(place, logId)}`
    : `${MANIFESTS}insert_log/${collectionId}/${partitionId}/${id}/_delta/${logId}`;
  await slots.run(() => target.store.put(`${target.name}/${path}`, delta.bytes, {}, signal));
  const size = BigInt(delta.bytes.length);
  ledger.add({ path, size, sum: checksumOf(delta.bytes) });
  const { tsFrom, tsTo, entries } = delta;
  return { path, size, file: { logId, size, entries: BigInt(entries), tsFrom, tsTo, logPath: path }, entries };
}

async function listOf(store: ObjectStore, folder: string, signal: AbortSignal): Promise<Map<string, ObjectInfo>> {
  const found = new Map<string, ObjectInfo>();
  for await (const info of store.list(folder, signal)) found.set(info.key, info);
  return found;
}

/** The folder `levels` above a key, with its slash. */
function parentOf(key: string, levels: number): string {
  return `${key.split("/").slice(0, -levels).join("/")}/`;
}

function gone(segment: Segment, key: string, cause?: unknown): TidemarkError {
  return new TidemarkError("not_found", `File ${key} of segment ${segment.id} is not in the bucket any more`, {
    hint: "A compaction has probably replaced the segment: it is looked up again.",
    cause,
  });
}
