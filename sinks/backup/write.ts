/** A whole base from a snapshot, in one call: what a run does, without a run. */
import { type ErrorCode, TidemarkError, toTidemarkError } from "../../pipeline/errors.ts";
import { latestTs } from "../../pipeline/transforms/mod.ts";
import type {
  ArchiveSink,
  BackupSession,
  BaseReport,
  BinlogSource,
  Cut,
  DeleteMark,
  HybridTs,
  LogFile,
  Segment,
  Snapshot,
} from "../../pipeline/model/mod.ts";

export interface WriteBackupOptions {
  readonly sink: ArchiveSink;
  readonly snapshot: Snapshot;
  readonly cuts: readonly Cut[];
  /** Default: the largest timestamp of cuts and files. */
  readonly exactFrom?: HybridTs;
  /** Where the files are. */
  readonly files: Pick<BinlogSource, "object">;
  /** Default: all collections of the snapshot. */
  readonly collectionIds?: readonly bigint[];
  /** All files of a segment kept by a manifest. Default: there are none. */
  readonly kept?: (segment: Segment) => readonly LogFile[] | undefined;
  /** Deletes that the metadata of this segment does not name. Default: none. */
  readonly forgotten?: (segment: Segment) => readonly DeleteMark[];
  /** Name of an unfinished backup to go on with. */
  readonly resume?: string;
  /** Name of the base before, to share files with. */
  readonly previous?: string;
  /** Unix ms. Default: now. */
  readonly nowMs?: number;
}

/** A collection whose copy fails is left out and named in the report; throws `partial` only if none succeeded. */
export async function writeBackup(
  options: WriteBackupOptions,
  signal: AbortSignal,
): Promise<{ readonly session: BackupSession; readonly report: BaseReport; readonly failed: readonly string[] }> {
  const { sink, snapshot, cuts, files, nowMs = Date.now() } = options;
  const ids = options.collectionIds ?? snapshot.catalog.collections.map(({ id }) => id);
  const collections = snapshot.catalog.collections.filter(({ id }) => ids.includes(id));
  const session = await sink.open({ resume: options.resume, previous: options.previous, nowMs }, signal);
  await session.begin({
    revision: snapshot.revision,
    clusterId: snapshot.clusterId,
    serverVersion: snapshot.serverVersion,
    takenAtMs: snapshot.takenAtMs,
    catalog: snapshot.catalog,
    cuts: cuts.filter(({ collectionId }) => ids.includes(collectionId)),
    exactFrom: options.exactFrom ?? firstExactMoment(snapshot, cuts),
    collectionIds: ids,
    findings: [],
    knownDeletes: [],
  }, signal);
  const done: { collection: typeof collections[number]; segmentIds: bigint[] }[] = [];
  const failed: { id: bigint; name: string; reason: string; code: ErrorCode }[] = [];
  for (const collection of collections) {
    const segments = snapshot.segments.filter((segment) =>
      segment.collectionId === collection.id && segment.class !== "none"
    );
    try {
      await Promise.all(
        segments.map((segment) =>
          session.copySegment(
            segment,
            files.object,
            options.forgotten?.(segment) ?? [],
            signal,
            options.kept?.(segment),
          )
        ),
      );
      done.push({ collection, segmentIds: segments.map(({ id }) => id) });
    } catch (thrown) {
      signal.throwIfAborted();
      const { message: reason, code } = toTidemarkError(thrown);
      failed.push({ id: collection.id, name: `${collection.dbName}.${collection.name}`, reason, code });
    }
  }
  if (done.length === 0 && failed.length > 0) {
    const [{ name, reason, code }] = failed as [typeof failed[number]];
    throw new TidemarkError(code, `Nothing could be backed up; ${name}: ${reason}`);
  }
  const report = await session.finishBase(done, failed.map(({ id, name, reason }) => ({ id, name, reason })), signal);
  return { session, report, failed: failed.map(({ name, reason }) => `${name}: ${reason}`) };
}

/** Largest of all cuts and of all file timestamps, those of dropped segments included: compaction may have applied them. */
export function firstExactMoment(snapshot: Snapshot, cuts: readonly Cut[]): HybridTs {
  let moment = cuts.reduce<HybridTs>((max, { ts }) => ts > max ? ts : max, 0n);
  for (const segment of snapshot.segments) {
    const ts = latestTs(segment);
    if (ts > moment) moment = ts;
  }
  return moment;
}
