/** A backup in the form in which a running Milvus is read, so that a restore is the pipeline with another source. */
import type {
  Collection,
  Cut,
  FieldFiles,
  LogFile,
  Segment,
  Snapshot,
  StoredPosition,
} from "../../pipeline/model/mod.ts";
import {
  type BackedCollection,
  type BackedFieldFiles,
  type BackedSegment,
  deltaPath,
  insertPath,
  type KeptSegment,
} from "../../stores/mod.ts";
import type { OpenedBackup } from "./read.ts";

/** Every row is before it: the cut of a backup that does not know its own. Fits a signed 64-bit column. */
const NO_CUT = 2n ** 63n - 1n;

/** The snapshot that the backup's base was made from. Files have the paths that they had in Milvus. */
export function backupSnapshot(backup: OpenedBackup): Snapshot {
  const { meta, manifest } = backup;
  const backed = meta.collections.map(withChannels);
  const kept = new Map((manifest?.segments ?? []).map((segment) => [segment.id, segment]));
  const collectionIds = new Set(backed.map(({ collection }) => collection.id));
  const cuts = backupCuts(backup);
  return {
    revision: manifest?.source.revision ?? 0n,
    clusterId: manifest?.source.clusterId ?? `backup:${meta.id}`,
    catalog: {
      databases: meta.databases,
      collections: backed.map(({ collection }) => collection),
      rbac: meta.rbac ?? { users: [], roles: [], grants: [], privilegeGroups: [] },
      notLive: [],
    },
    segments: [
      ...backed.flatMap(({ collection, segments }) =>
        segments.map((segment) => segmentOf(segment, collection, kept.get(segment.id)))
      ),
      ...[...kept.values()].filter(({ manifestPath, collectionId }) =>
        manifestPath !== "" && collectionIds.has(collectionId)
      ).map(segmentByManifest),
    ],
    checkpoints: new Map(cuts.map((cut): [string, StoredPosition] => [
      cut.vchannel,
      { channel: cut.vchannel, offset: cut.offset, ts: cut.ts },
    ])),
    droppedChannels: [],
    imports: [],
    serverVersion: meta.milvusVersion.replace(/^v/, ""),
    takenAtMs: manifest?.source.takenAtMs ?? 0,
  };
}

/** Offset -1 and a timestamp beyond all rows where the backup knows no cut: its base is taken as it is, and it has no log. */
export function backupCuts({ meta, manifest }: OpenedBackup): Cut[] {
  if (manifest !== undefined) return [...manifest.cuts];
  return meta.collections.map(withChannels).flatMap(({ collection }) =>
    collection.vchannels.map((vchannel, i) => ({
      vchannel,
      pchannel: collection.pchannels[i] ?? vchannel,
      collectionId: collection.id,
      offset: -1n,
      ts: NO_CUT,
    }))
  );
}

/** Backups before 0.5.10 name no channels; one made up per collection serves, for a key's rows and deletes share it. */
function withChannels(backed: BackedCollection): BackedCollection {
  if (backed.collection.vchannels.length > 0) return backed;
  const named = [...new Set(backed.segments.map(({ vchannel }) => vchannel).filter((name) => name !== ""))].sort();
  const vchannels = named.length > 0 ? named : [`backup_${backed.collection.id}v0`];
  const collection: Collection = { ...backed.collection, vchannels, pchannels: vchannels.map(pchannelOf) };
  return { ...backed, collection };
}

/** `by-dev-rootcoord-dml_3_449v0` -> `by-dev-rootcoord-dml_3`. */
function pchannelOf(vchannel: string): string {
  const last = vchannel.lastIndexOf("_");
  return last > 0 && vchannel.slice(last).includes("v") ? vchannel.slice(0, last) : vchannel;
}

/** Kept whole, with its files where its manifest says. */
function segmentByManifest(
  { id, collectionId, partitionId, vchannel, rows, manifestPath, commitTimestamp }: KeptSegment,
): Segment {
  return {
    ...RESTING,
    ...{ id, collectionId, partitionId, vchannel, rows, manifestPath, commitTimestamp },
    level: 2,
    storageVersion: 3n,
    binlogs: [],
    deltalogs: [],
    class: "rows",
    classReason: "segment of a backup, by manifest",
  };
}

/** What a segment of a backup is whatever its files are. */
const RESTING = {
  state: "flushed",
  startPosition: undefined,
  dmlPosition: undefined,
  isImporting: false,
  isFake: false,
  isInvisible: false,
  createdByCompaction: false,
  compactionFrom: [],
  compacted: false,
  droppedAt: 0n,
  statslogs: [],
} as const;

function segmentOf(backed: BackedSegment, collection: Collection, kept: KeptSegment | undefined): Segment {
  const { id, collectionId, partitionId, isL0 } = backed;
  // As Milvus itself has them: without the group folder, which `backupBinlogs` puts back.
  const place = { id, collectionId, partitionId, groupId: 0n };
  return {
    ...RESTING,
    id,
    collectionId,
    partitionId,
    // All segments of unknown channel share one, so that deletes in one's folder meet the rows of another; deletes that belong
    // to no segment are of all channels.
    vchannel: backed.vchannel !== "" || isL0 ? backed.vchannel : collection.vchannels[0]!,
    level: isL0 ? 1 : 2,
    rows: backed.rows,
    storageVersion: backed.storageVersion,
    manifestPath: "",
    commitTimestamp: kept?.commitTimestamp ?? 0n,
    binlogs: backed.binlogs.map((field) => ({
      ...filesOf(field, (logId) => insertPath(place, field.fieldId, logId)),
      childFields: kept?.childFields.get(field.fieldId) ?? [],
    })),
    deltalogs: backed.deltalogs.map((field) => filesOf(field, (logId) => deltaPath(place, logId))),
    class: isL0 ? "deletes" : "rows",
    classReason: isL0 ? "L0 segment of a backup" : "segment of a backup",
  };
}

function filesOf({ fieldId, files }: BackedFieldFiles, pathOf: (logId: bigint) => string): FieldFiles {
  return {
    fieldId,
    childFields: [],
    files: files.map(({ logId, size, entries, tsFrom, tsTo }): LogFile => ({
      path: pathOf(logId),
      logId,
      entries,
      tsFrom,
      tsTo,
      size,
    })),
  };
}
