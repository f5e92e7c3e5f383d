/** A backup in the place of a running Milvus: the three sources of the pipeline, for a restore. */
import { TidemarkError } from "../../pipeline/errors.ts";
import {
  type BinlogSource,
  type Catalog,
  type Cut,
  type HybridTs,
  isoOfHybrid,
  type LogSource,
  type MetaSource,
  type ObjectStore,
  type Snapshot,
} from "../../pipeline/model/mod.ts";
import type { SegmentReadOptions } from "../binlog/mod.ts";
import { createArchiveLog } from "./archive.ts";
import { backupBinlogs } from "./binlogs.ts";
import { checkArchive } from "./continuity.ts";
import { type CatalogHistory, catalogOf, readHistory } from "./history.ts";
import { type OpenedBackup, readBackup } from "./read.ts";
import { type Restorable, restorableRange } from "./restorable.ts";
import { backupCuts, backupSnapshot } from "./snapshot.ts";
import { plural } from "../../pipeline/units/mod.ts";

export interface BackupSource {
  readonly backup: OpenedBackup;
  readonly snapshot: Snapshot;
  readonly cuts: readonly Cut[];
  readonly history: CatalogHistory;
  /** Of the base. */
  readonly meta: MetaSource;
  readonly binlogs: BinlogSource;
  /** Undefined: the backup has no log, only its base can be restored. */
  readonly log: LogSource | undefined;
  /** Undefined: base only. */
  readonly restorable: Restorable | undefined;
  close(): Promise<void>;
}

/** The catalog as it was at a moment; collections that are not in the backup are left out. */
export function catalogAt(source: Pick<BackupSource, "history">, ts: HybridTs): Catalog {
  return catalogOf(source.history, ts);
}

/** The metadata of the moment to which a backup is restored: its base's files under the catalog of that moment. */
export function metaAt(source: Pick<BackupSource, "history" | "snapshot" | "backup">, ts: HybridTs): MetaSource {
  const unseen = new Map([...source.history.unseen].filter(([, at]) => at > ts));
  return snapshotMeta({ ...source.snapshot, catalog: catalogAt(source, ts) }, source.backup.name, unseen);
}

/** Opens a backup for a restore; closes the store in the end. Throws as `readBackup` does. */
export async function openBackupSource(
  store: ObjectStore,
  name: string,
  options: { readonly reading?: SegmentReadOptions; readonly signal?: AbortSignal } = {},
): Promise<BackupSource> {
  const backup = await readBackup(store, name, options.signal);
  const snapshot = backupSnapshot(backup);
  const cuts = backupCuts(backup);
  const { manifest } = backup;
  const archive = manifest?.logArchive
    ? await checkArchive(store, name, { cuts, quick: true }, options.signal)
    : undefined;
  const hasLog = archive !== undefined && archive.pchannels.length > 0;
  const history = await readHistory(backup, snapshot, options.signal);
  return {
    backup,
    snapshot,
    cuts,
    history,
    meta: snapshotMeta(snapshot, name),
    binlogs: backupBinlogs(backup, options.reading),
    log: hasLog ? createArchiveLog({ store, name, queue: manifest?.queue ?? "kafka" }) : undefined,
    restorable: restorableRange(manifest?.exactFrom, archive, history),
    close: () => store.close(),
  };
}

/** Throws `usage` with the restorable range for a moment outside it. */
export function checkMoment(source: Pick<BackupSource, "restorable" | "backup">, ts: HybridTs): void {
  const { restorable, backup: { name } } = source;
  if (restorable === undefined) {
    throw new TidemarkError("usage", `Backup ${name} has no usable log archive, so no moment can be chosen`, {
      hint: "Restore its base only, or see what `tidemark backup verify` says.",
    });
  }
  const gap = restorable.gaps.find(({ from, to }) => ts >= from.ts && ts <= to.ts);
  if (gap !== undefined) {
    const [first, ...others] = gap.collections;
    throw new TidemarkError(
      "usage",
      `Backup ${name} cannot be restored to ${isoOfHybrid(ts)}: the log of ${first}${
        others.length === 0 ? "" : ` and ${others.length} ${plural(others.length, "other")}`
      } ends before it, and that it was dropped is known only behind ${gap.to.iso}`,
      {
        hint: `Choose a moment before ${gap.from.iso} or after ${gap.to.iso}, as \`tidemark backup show\` names them.`,
      },
    );
  }
  if (ts >= restorable.from.ts && ts <= restorable.to.ts) return;
  throw new TidemarkError(
    "usage",
    `Backup ${name} can be restored to any moment from ${restorable.from.iso} to ${restorable.to.iso}, not to ${
      isoOfHybrid(ts)
    }`,
    { hint: "Choose a moment in that range, or another backup: `tidemark backup list`." },
  );
}

/** Metadata that never changes. `unseen`: collections of which it knows only when they were dropped, later. */
function snapshotMeta(snapshot: Snapshot, name: string, unseen: ReadonlyMap<bigint, HybridTs> = new Map()): MetaSource {
  return {
    snapshot: () => Promise.resolve(snapshot),
    async *watch(_revision, signal) {
      if (signal.aborted) return;
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
      yield* [];
    },
    async lookup(collectionId) {
      const collection = snapshot.catalog.collections.find(({ id }) => id === collectionId);
      if (collection !== undefined) return { state: "live", collection };
      const droppedAt = unseen.get(collectionId);
      return droppedAt === undefined ? { state: "unknown" } : { state: "unknown", droppedAt };
    },
    async check() {
      const count = snapshot.catalog.collections.length;
      return [{
        what: `backup ${name}`,
        ok: "ok",
        detail: `${count} ${plural(count, "collection")}, ${snapshot.segments.length} ${
          plural(snapshot.segments.length, "segment")
        }`,
      }];
    },
    async close() {},
  };
}
