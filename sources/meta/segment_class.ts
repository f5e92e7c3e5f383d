/** Which segments are data: what to read of each, and why. */
import type { SegmentClass } from "../../pipeline/model/mod.ts";
import { SegmentLevel } from "../../pipeline/proto/gen/data_coord_pb.ts";
import { SegmentState } from "../../pipeline/proto/gen/common_pb.ts";
import type { SegmentFiles } from "./segment_files.ts";
import type { SegmentRecord } from "./segment_record.ts";

/** What the class of a segment depends on besides itself. */
export interface Surroundings {
  /** Undefined where it is not in the metadata. */
  segment(id: bigint): SegmentRecord | undefined;
  /** Segments that name this one in compactionFrom, Dropped ones too. */
  children(id: bigint): readonly SegmentRecord[];
  isLiveCollection(id: bigint): boolean;
  isLivePartition(collectionId: bigint, partitionId: bigint): boolean;
  /** Time of the last truncation of a vchannel, 0 if there was none. */
  truncatedAt(collectionId: bigint, vchannel: string): bigint;
  /** The collection has segments of storage V2. */
  hasPacked(collectionId: bigint): boolean;
}

export interface Classified {
  readonly class: SegmentClass;
  /** Empty where there is nothing to say. */
  readonly reason: string;
}

/** Segments of L0 hold only deletes, of the whole channel (partition -1) or of one partition. */
export function isL0(info: SegmentRecord): boolean {
  return info.level === SegmentLevel.L0;
}

export function classify(info: SegmentRecord, files: SegmentFiles, around: Surroundings): Classified {
  const none = (reason: string): Classified => ({ class: "none", reason });
  if (info.state === SegmentState.Dropped) return none(whyDropped(info, around));
  if (!around.isLiveCollection(info.collectionID)) return none("its collection is not live");
  if (info.partitionID !== -1n && !around.isLivePartition(info.collectionID, info.partitionID)) {
    return none("its partition is not live");
  }
  if (info.state === SegmentState.Importing) return none("Importing");
  if (info.isImporting) return none("is_importing");
  if (info.isFake) return none("is_fake");
  if (info.state === SegmentState.SegmentStateNone || info.state === SegmentState.NotExist) {
    return none(SegmentState[info.state]);
  }
  const truncatedAt = around.truncatedAt(info.collectionID, info.insertChannel);
  if (truncatedAt > 0n && (info.dmlPosition?.ts ?? 0n) <= truncatedAt) {
    return none(`truncated at ${truncatedAt}`);
  }
  const source = info.compactionFrom.find((id) => isAlive(around.segment(id)));
  if (source !== undefined) return none(`its source ${source} is not Dropped yet`);
  if (info.isInvisible && info.createdByCompaction) {
    return none("is_invisible, created by compaction: not published yet");
  }
  if (isL0(info)) {
    const shard = info.insertChannel.slice(info.insertChannel.lastIndexOf("v"));
    return {
      class: "deletes",
      reason: info.partitionID === -1n ? `L0, all partitions of ${shard}` : "L0, one partition",
    };
  }
  return { class: "rows", reason: whyRows(info, files, around) };
}

function isAlive(info: SegmentRecord | undefined): boolean {
  return info !== undefined && info.state !== SegmentState.Dropped;
}

function whyDropped(info: SegmentRecord, around: Surroundings): string {
  if (isL0(info)) return info.compacted ? "L0, Dropped after compaction" : "L0, Dropped";
  const children = around.children(info.ID).map((child) => child.ID);
  if (children.length > 0) return `Dropped, child ${children.join(", ")}`;
  if (info.numOfRows === 0n) return "Dropped, empty at flush";
  return info.compacted ? "Dropped and compacted, but no child lists it" : "Dropped";
}

function whyRows(info: SegmentRecord, files: SegmentFiles, around: Surroundings): string {
  if (info.isInvisible) return "is_invisible, not created by compaction: waits for sort, is the data";
  const child = around.children(info.ID).find(isAlive);
  if (child !== undefined) {
    return `source of an unfinished ${child.level === SegmentLevel.L2 ? "clustering " : ""}compaction`;
  }
  if (info.state === SegmentState.Growing) {
    return files.binlogs.length > 0
      ? "Growing with partial binlogs: rows up to dml_ts are in files"
      : "Growing without files";
  }
  if (info.compactionFrom.length > 0 && info.compactionFrom.every((id) => around.segment(id) === undefined)) {
    return "sources are gone from the metadata";
  }
  if (info.manifestPath !== "") return "storage V3: the manifest names its files";
  if (info.storageVersion < 2n && around.hasPacked(info.collectionID)) {
    return "storage V1 segment from before the upgrade";
  }
  if (
    info.storageVersion === 2n && files.binlogs.length > 0 &&
    files.binlogs.every((group) => group.childFields.length === 0)
  ) {
    return "storage V2 written by 2.6.0: no child_fields, the file schema decides";
  }
  return "";
}
