/** What one backup holds. */
import type { ObjectStore } from "../../pipeline/model/mod.ts";
import { encryptionOf, segmentBytes } from "../../stores/mod.ts";
import { type ArchiveReport, checkArchive, isYoung } from "./continuity.ts";
import { readHistory } from "./history.ts";
import { readBackup } from "./read.ts";
import { type Restorable, restorableRange } from "./restorable.ts";
import { backupSnapshot } from "./snapshot.ts";

export interface ShownCollection {
  readonly id: bigint;
  readonly database: string;
  readonly name: string;
  readonly partitions: readonly string[];
  readonly aliases: readonly string[];
  readonly indexes: readonly string[];
  readonly loaded: boolean;
  readonly segments: number;
  /** Rows in files, deleted ones included. */
  readonly rows: bigint;
  readonly bytes: bigint;
  /** Of `segments`: kept whole by their manifest (storage V3) in our own part of the backup. */
  readonly keptSegments: number;
  /** Of `segments`: of storage V3 at the source, here written as V2. */
  readonly rewrittenSegments: number;
}

export interface ShownBackup {
  readonly name: string;
  readonly madeBy: "tidemark" | "milvus-backup";
  readonly writtenBy: string;
  readonly milvusVersion: string;
  readonly pipeline: string;
  readonly takenMs: number;
  readonly databases: readonly string[];
  readonly collections: readonly ShownCollection[];
  readonly users: number;
  readonly roles: number;
  readonly segments: number;
  readonly rows: bigint;
  readonly bytes: bigint;
  readonly objects: number;
  readonly sharedBytes: bigint;
  readonly archiveFiles: number;
  readonly archiveBytes: bigint;
  /** The moments that can be restored; undefined: the base only. */
  readonly restorable: Restorable | undefined;
  readonly failed: readonly { readonly name: string; readonly reason: string }[];
  /** Files of the source that metadata did not name, as the run found them. */
  readonly dirtyFiles: number;
  readonly warnings: readonly string[];
  /** Undefined: in clear. */
  readonly encryption: { readonly recipients: readonly string[]; readonly passphrase: boolean } | undefined;
  readonly archive: ArchiveReport | undefined;
}

/** Reads metadata and the footers of the archive, no data. Throws as {@link readBackup}. */
export async function showBackup(store: ObjectStore, name: string, signal?: AbortSignal): Promise<ShownBackup> {
  const backup = await readBackup(store, name, signal);
  const { meta, manifest, warnings } = backup;
  const archive = manifest === undefined || !manifest.logArchive
    ? undefined
    : await checkArchive(store, name, { cuts: manifest.cuts, young: isYoung(manifest), quick: true }, signal);
  const encryption = await encryptionOf(store, name, signal);
  const collections = meta.collections.map(({ collection, segments }): ShownCollection => {
    const kept = (manifest?.segments ?? []).filter(({ collectionId, manifestPath }) =>
      manifestPath !== "" && collectionId === collection.id
    );
    const keptBytes = kept.flatMap(({ files }) => files).reduce((sum, { size }) => sum + size, 0n);
    return {
      id: collection.id,
      database: collection.dbName,
      name: collection.name,
      partitions: collection.partitions.map((partition) => partition.name),
      aliases: collection.aliases,
      indexes: collection.indexes.map((index) => index.name === "" ? index.fieldName : index.name),
      loaded: collection.load?.loaded ?? false,
      segments: segments.length + kept.length,
      rows: [...segments.filter(({ isL0 }) => !isL0), ...kept].reduce((sum, { rows }) => sum + rows, 0n),
      bytes: segments.reduce((sum, segment) => sum + segmentBytes(segment), keptBytes),
      keptSegments: kept.length,
      rewrittenSegments: (manifest?.segments ?? []).filter(({ collectionId, rewritten }) =>
        rewritten && collectionId === collection.id
      ).length,
    };
  });
  const total = <T extends "rows" | "bytes">(key: T) => collections.reduce((sum, item) => sum + item[key], 0n);
  return {
    name,
    madeBy: manifest === undefined ? "milvus-backup" : "tidemark",
    writtenBy: manifest?.writtenBy ?? "",
    milvusVersion: meta.milvusVersion,
    pipeline: manifest?.pipeline ?? "",
    takenMs: manifest?.source.takenAtMs ?? 0,
    databases: meta.databases.map((database) => database.name),
    collections,
    users: meta.rbac?.users.length ?? 0,
    roles: meta.rbac?.roles.length ?? 0,
    segments: collections.reduce((sum, { segments }) => sum + segments, 0),
    rows: total("rows"),
    bytes: total("bytes"),
    objects: manifest?.objects.length ??
      meta.collections.flatMap(({ segments }) =>
        segments.flatMap(({ binlogs, deltalogs }) => [...binlogs, ...deltalogs])
      )
        .reduce((sum, { files }) => sum + files.length, 0),
    sharedBytes: manifest?.sharedBytes ?? 0n,
    archiveFiles: archive?.pchannels.reduce((sum, { files }) => sum + files, 0) ?? 0,
    archiveBytes: archive?.pchannels.reduce((sum, { bytes }) => sum + bytes, 0n) ?? 0n,
    restorable: restorableRange(
      manifest?.exactFrom,
      archive,
      await readHistory(backup, backupSnapshot(backup), signal),
    ),
    failed: manifest?.failed ?? [],
    dirtyFiles: manifest?.findings.length ?? 0,
    warnings,
    encryption: encryption && {
      recipients: encryption.note.recipients,
      passphrase: encryption.note.lockedIdentity !== undefined,
    },
    archive,
  };
}
