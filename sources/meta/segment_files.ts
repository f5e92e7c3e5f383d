/** The files that metadata names for a segment, as keys of the object store. */
import type { FieldBinlog } from "../../pipeline/proto/gen/data_coord_pb.ts";
import type { FieldFiles, LogFile } from "../../pipeline/model/mod.ts";
import { idInPath } from "./field_binlog.ts";
import { damagedKey } from "./keys.ts";
import type { InlineLogs, SegmentRecord } from "./segment_record.ts";
import type { LogKind, SegmentParts } from "./segment_parts.ts";

const FOLDERS: Readonly<Record<LogKind, string>> = {
  binlog: "insert_log",
  deltalog: "delta_log",
  statslog: "stats_log",
  bm25log: "bm25_stats",
};

/** Where the files are, below the storage root. Delta logs have no field in their path. */
export function folderOf(
  kind: LogKind,
  collectionId: bigint,
  partitionId: bigint,
  segmentId: bigint,
  fieldId: bigint,
): string {
  // Joined, not interpolated: V8 keeps an interpolated string as a tree of its parts, several times its size.
  const parts = [FOLDERS[kind], collectionId, partitionId, segmentId, fieldId];
  return (kind === "deltalog" ? parts.slice(0, -1) : parts).join("/");
}

export interface SegmentFiles {
  readonly binlogs: readonly FieldFiles[];
  readonly deltalogs: readonly FieldFiles[];
  readonly statslogs: readonly FieldFiles[];
  readonly bm25logs: readonly FieldFiles[];
  /** The record of the segment itself names its files, with whole paths: data of 2.1 and before. */
  readonly inlinePaths: readonly string[];
}

/**
 * Paths are made from ids: a stored path may begin with a root that is no longer the server's. With `strict`, a file
 * without an id is `damaged`; otherwise it is left out (segments that are not read).
 */
export function filesOf(
  { info, logs, nameless }: SegmentParts & { readonly info: SegmentRecord },
  strict: boolean,
): SegmentFiles {
  const inline = info.inline && byKind(info.inline);
  if (strict && inline === undefined && nameless.length > 0) throw namelessFile(nameless[0]!);
  const fieldFiles = (kind: LogKind): readonly FieldFiles[] =>
    byField(inline === undefined ? logs[kind] : inline[kind].map((log) => inlineFiles(kind, info, log, strict)));
  return {
    binlogs: fieldFiles("binlog"),
    deltalogs: fieldFiles("deltalog"),
    statslogs: fieldFiles("statslog"),
    bm25logs: fieldFiles("bm25log"),
    inlinePaths: inline === undefined ? NO_PATHS : Object.values(inline).flat()
      .flatMap(({ binlogs }) => binlogs.map(({ logPath }) => logPath)).filter((path) => path !== ""),
  };
}

function byKind(inline: InlineLogs): Record<LogKind, readonly FieldBinlog[]> {
  const { binlogs: binlog, deltalogs: deltalog, statslogs: statslog, bm25statslogs: bm25log } = inline;
  return { binlog, deltalog, statslog, bm25log };
}

/** The list itself where it is in order: snapshots share it. */
function byField(list: readonly FieldFiles[]): readonly FieldFiles[] {
  const inOrder = list.every(({ fieldId }, i) => i === 0 || list[i - 1]!.fieldId < fieldId);
  return inOrder ? list : list.toSorted((a, b) => a.fieldId < b.fieldId ? -1 : 1);
}

const NO_PATHS: readonly string[] = [];

function inlineFiles(kind: LogKind, info: SegmentRecord, log: FieldBinlog, strict: boolean): FieldFiles {
  const folder = folderOf(kind, info.collectionID, info.partitionID, info.ID, log.fieldID);
  const files = log.binlogs.flatMap((entry): LogFile[] => {
    const logId = entry.logID !== 0n ? entry.logID : idInPath(entry.logPath);
    if (logId !== undefined) {
      const { entriesNum: entries, timestampFrom: tsFrom, timestampTo: tsTo, logSize: size } = entry;
      return [{ path: [folder, logId].join("/"), logId, entries, tsFrom, tsTo, size }];
    }
    if (strict) throw namelessFile(`datacoord-meta/s/${info.collectionID}/${info.partitionID}/${info.ID}`);
    return [];
  });
  return { fieldId: log.fieldID, childFields: log.childFields, files };
}

function namelessFile(key: string): Error {
  return damagedKey(key, "a file in it has neither an id nor a path");
}

/** Rows in the files of one field or column group. */
export function entriesOf(field: FieldFiles): bigint {
  return field.files.reduce((sum, file) => sum + file.entries, 0n);
}
