/** All segments that the metadata knows, with their files and classes. */
import { TidemarkError } from "../../pipeline/errors.ts";
import type { FieldFiles, Segment, SegmentState as StateName } from "../../pipeline/model/mod.ts";
import { SegmentState } from "../../pipeline/proto/gen/common_pb.ts";
import type { CollectionReading } from "./catalog.ts";
import { isImported } from "./import_mark.ts";
import { classify, type Surroundings } from "./segment_class.ts";
import { filesOf, type SegmentFiles } from "./segment_files.ts";
import type { SegmentKeys } from "./segment_keys.ts";
import type { SegmentRecord } from "./segment_record.ts";
import type { SegmentParts } from "./segment_parts.ts";

/** A segment with what only `inspect` and the consistency test need. */
export interface SegmentReading extends Segment {
  readonly bm25logs: readonly FieldFiles[];
  /** Whole paths stored by 2.1 and before; not used, they may begin with an old root. */
  readonly inlinePaths: readonly string[];
  /** It has files of deletes by predicate, which are not read. */
  readonly predicates: boolean;
}

const STATE_NAMES: Readonly<Record<SegmentState, StateName>> = {
  [SegmentState.SegmentStateNone]: "none",
  [SegmentState.NotExist]: "not_exist",
  [SegmentState.Growing]: "growing",
  [SegmentState.Sealed]: "sealed",
  [SegmentState.Flushed]: "flushed",
  [SegmentState.Flushing]: "flushing",
  [SegmentState.Dropped]: "dropped",
  [SegmentState.Importing]: "importing",
};

/** By id. `damaged` is told of live collections' segments whose files have no names; throws `damaged` where it is left out. */
export function readSegments(
  keys: SegmentKeys,
  collections: readonly CollectionReading[],
  damaged?: (collectionId: bigint, error: TidemarkError) => void,
): SegmentReading[] {
  const stored = [...keys.segments()];
  const around = surroundingsOf(stored.map(({ info }) => info), collections);
  return stored.map((parts) => {
    const { info } = parts;
    const dead = info.state === SegmentState.Dropped || !around.isLiveCollection(info.collectionID);
    const files = namedFiles(info, filesIn(parts, !dead, damaged));
    const { class: segmentClass, reason } = classify(info, files, around);
    return {
      id: info.ID,
      collectionId: info.collectionID,
      partitionId: info.partitionID,
      vchannel: info.insertChannel,
      state: STATE_NAMES[info.state] ?? "none",
      level: info.level,
      rows: info.numOfRows,
      startPosition: info.startPosition,
      dmlPosition: info.dmlPosition,
      storageVersion: info.storageVersion,
      manifestPath: info.manifestPath,
      commitTimestamp: info.commitTimestamp,
      isImporting: info.isImporting,
      imported: isImported(info, files),
      isFake: info.isFake,
      isInvisible: info.isInvisible,
      createdByCompaction: info.createdByCompaction,
      compactionFrom: info.compactionFrom,
      compacted: info.compacted,
      droppedAt: info.droppedAt,
      ...files,
      predicates: parts.predicates,
      class: segmentClass,
      classReason: reason,
    };
  });
}

function filesIn(
  parts: SegmentParts & { readonly info: SegmentRecord },
  strict: boolean,
  damaged: ((collectionId: bigint, error: TidemarkError) => void) | undefined,
): SegmentFiles {
  try {
    return filesOf(parts, strict);
  } catch (thrown) {
    if (damaged === undefined || !(thrown instanceof TidemarkError)) throw thrown;
    damaged(parts.info.collectionID, thrown);
    return filesOf(parts, false);
  }
}

/**
 * A manifest names the files itself (storage V3): what the keys of such a segment say of rows and deletes are sums under
 * numbers that no file has, and the newest servers write none.
 */
function namedFiles(info: SegmentRecord, files: SegmentFiles): SegmentFiles {
  return info.manifestPath === "" ? files : { ...files, binlogs: [], deltalogs: [] };
}

function surroundingsOf(infos: readonly SegmentRecord[], collections: readonly CollectionReading[]): Surroundings {
  const byId = new Map(infos.map((info) => [info.ID, info]));
  const children = new Map<bigint, SegmentRecord[]>();
  const packed = new Set<bigint>();
  for (const info of infos) {
    if (info.storageVersion >= 2n) packed.add(info.collectionID);
    for (const source of info.compactionFrom) {
      const list = children.get(source);
      if (list === undefined) children.set(source, [info]);
      else list.push(info);
    }
  }
  const live = new Map(
    collections.flatMap(({ id, collection }) =>
      collection === undefined ? [] : [[id, new Set(collection.partitions.map((partition) => partition.id))]]
    ),
  );
  const truncated = new Map(collections.map((reading) => [reading.id, reading.truncated]));
  return {
    segment: (id) => byId.get(id),
    children: (id) => children.get(id) ?? [],
    isLiveCollection: (id) => live.has(id),
    isLivePartition: (collectionId, partitionId) => live.get(collectionId)?.has(partitionId) ?? false,
    truncatedAt: (id, vchannel) => truncated.get(id)?.get(vchannel) ?? 0n,
    hasPacked: (id) => packed.has(id),
  };
}
