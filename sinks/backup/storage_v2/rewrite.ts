/**
 * Writes a segment kept by a manifest (storage V3) as one of storage V2, which milvus-backup and Milvus' import know: the same
 * rows with their timestamps, the same deletes. The same segment gives the same bytes, so that an interrupted base writes none
 * of them twice, and a base shares them with the one before.
 */
import { TidemarkError } from "../../../pipeline/errors.ts";
import type { DeleteMark, LogFile, Segment, SegmentContents } from "../../../pipeline/model/mod.ts";
import {
  type BackedFile,
  checksumOf,
  deltaPath,
  encodeDeltaFile,
  groupOf,
  insertPath,
  linkObject,
  type SegmentPlace,
} from "../../../stores/mod.ts";
import type { CopiedSegment, SegmentCopyContext } from "../segment_copy.ts";
import { columnGroups, type V2Group } from "./column_groups.ts";
import { encodeRows } from "./encode.ts";

/** Numbers of files count up from here: import orders them as texts, so all have as many digits. */
const FIRST_LOG_ID = 10n ** 17n;
/** Deletes in one delta log. */
const DELETES_AT_ONCE = 1 << 18;
const STORAGE_V2 = 2n;

interface Written {
  readonly path: string;
  readonly file: BackedFile;
  readonly how: "present" | "shared" | "written";
}

/** What is written of a segment, but the deletes that its metadata forgot: those come later, if there are any. */
export interface Rewritten {
  readonly manifestPath: string;
  readonly groups: readonly V2Group[];
  readonly inserts: ReadonlyMap<bigint, readonly Written[]>;
  readonly deltas: readonly Written[];
  readonly nextLogId: bigint;
}

/**
 * `kept`: all files of the segment. Throws `not_found` for a file that has gone, `unsupported` where the rows cannot be read
 * from it or have no form in storage V2, both with the segment.
 */
export async function rewriteSegment(
  segment: Segment,
  kept: readonly LogFile[],
  contents: SegmentContents,
  context: SegmentCopyContext,
  signal: AbortSignal,
): Promise<Rewritten> {
  const place = placeOf(segment);
  let nextLogId = FIRST_LOG_ID;
  const inserts = new Map<bigint, Written[]>();
  const deltas: Written[] = [];
  try {
    const groups = columnGroups(contents.schema);
    const fieldIds = groups.flatMap(({ columns }) => columns.map(({ fieldId }) => fieldId));
    const { createdBy } = context;
    for await (
      const { files, rows, tsFrom, tsTo } of encodeRows(groups, contents.rows(fieldIds, signal), { createdBy })
    ) {
      for (const [i, bytes] of files.entries()) {
        const { id } = groups[i]!;
        const logId = nextLogId++;
        const written = await write(
          `binlogs/${insertPath(place, id, logId)}`,
          bytes,
          { logId, entries: BigInt(rows), tsFrom, tsTo },
          context,
          signal,
        );
        inserts.set(id, [...inserts.get(id) ?? [], written]);
      }
    }
    // Deletes of no rows would make a folder that no restore pairs with rows.
    for await (const marks of inserts.size === 0 ? [] : deletesOf(kept, contents, signal)) {
      const written = await writeDeletes(segment, marks, nextLogId, context, signal);
      if (written === undefined) continue;
      deltas.push(written);
      nextLogId++;
    }
    return { manifestPath: segment.manifestPath, groups, inserts, deltas, nextLogId };
  } catch (thrown) {
    if (!(thrown instanceof TidemarkError && thrown.code === "unsupported")) throw thrown;
    throw new TidemarkError("unsupported", `Segment ${segment.id} cannot be written as storage V2: ${thrown.message}`, {
      hint:
        "Set storage_format of the backup's sink to source, which keeps such segments as they are, or exclude the collection.",
      cause: thrown,
    });
  }
}

/** The segment for the backup's metadata, with one more delta log for the deletes that the source's metadata forgot. */
export async function describeRewritten(
  segment: Segment,
  { groups, inserts, deltas, nextLogId }: Rewritten,
  forgotten: readonly DeleteMark[],
  context: SegmentCopyContext,
  signal: AbortSignal,
): Promise<CopiedSegment> {
  const own = inserts.size === 0 ? undefined : await writeDeletes(segment, forgotten, nextLogId, context, signal);
  await context.ledger.flush(false, signal);
  const logs = own === undefined ? deltas : [...deltas, own];
  const all = [...inserts.values()].flat().concat(logs);
  const sizeOf = (files: readonly Written[]) => files.reduce((sum, { file: { size } }) => sum + size, 0n);
  const { id, collectionId, partitionId, vchannel, rows, commitTimestamp } = segment;
  return {
    backed: {
      ...placeOf(segment),
      rows,
      isL0: false,
      vchannel,
      storageVersion: STORAGE_V2,
      binlogs: [...inserts].map(([fieldId, files]) => ({ fieldId, files: files.map(({ file }) => file) })),
      deltalogs: logs.length === 0 ? [] : [{ fieldId: 0n, files: logs.map(({ file }) => file) }],
    },
    kept: {
      ...{ id, collectionId, partitionId, vchannel, rows, commitTimestamp },
      manifestPath: "",
      rewritten: true,
      childFields: new Map(groups.map((group) => [group.id, group.columns.map(({ fieldId }) => fieldId)])),
      files: [],
    },
    paths: all.map(({ path }) => path),
    ownDelta: own?.path,
    result: {
      segmentId: id,
      files: all.length,
      bytes: sizeOf(all),
      presentFiles: all.filter(({ how }) => how === "present").length,
      sharedBytes: sizeOf(all.filter(({ how }) => how === "shared")),
      ownDeletes: own === undefined ? 0 : Number(own.file.entries),
    },
  };
}

function placeOf(segment: Segment): SegmentPlace {
  const { id, collectionId, partitionId } = segment;
  return { id, collectionId, partitionId, groupId: groupOf(segment) };
}

/** The deletes of the segment's own delta logs, as many at once as go into one file. */
async function* deletesOf(
  kept: readonly LogFile[],
  contents: SegmentContents,
  signal: AbortSignal,
): AsyncIterable<DeleteMark[]> {
  let marks: DeleteMark[] = [];
  let entries = 0;
  for (const file of kept.filter(({ path }) => path.includes("/_delta/"))) {
    for await (const mark of contents.deletes(file, signal)) {
      marks.push(mark);
      entries += mark.timestamps.length;
      if (entries < DELETES_AT_ONCE) continue;
      yield marks;
      marks = [];
      entries = 0;
    }
  }
  if (entries > 0) yield marks;
}

async function writeDeletes(
  segment: Segment,
  marks: readonly DeleteMark[],
  logId: bigint,
  context: SegmentCopyContext,
  signal: AbortSignal,
): Promise<Written | undefined> {
  const { collectionId, partitionId, id: segmentId } = segment;
  const delta = encodeDeltaFile(marks, { collectionId, partitionId, segmentId });
  if (delta === undefined) return undefined;
  const { bytes, entries, tsFrom, tsTo } = delta;
  const path = `binlogs/${deltaPath(placeOf(segment), logId)}`;
  return await write(path, bytes, { logId, entries: BigInt(entries), tsFrom, tsTo }, context, signal);
}

async function write(
  path: string,
  bytes: Uint8Array,
  facts: Omit<BackedFile, "size" | "logPath">,
  { target, ledger, slots }: SegmentCopyContext,
  signal: AbortSignal,
): Promise<Written> {
  const size = BigInt(bytes.length);
  const sum = checksumOf(bytes);
  const file: BackedFile = { ...facts, size, logPath: path };
  if (ledger.get(path)?.sum === sum) return { path, file, how: "present" };
  const { store, name, previous } = target;
  const isShared = previous?.object(path)?.sum === sum &&
    await linkObject(store, `${previous.name}/${path}`, store, `${name}/${path}`);
  if (!isShared) await slots.run(() => store.put(`${name}/${path}`, bytes, {}, signal));
  ledger.add({ path, size, sum });
  return { path, file, how: isShared ? "shared" : "written" };
}
