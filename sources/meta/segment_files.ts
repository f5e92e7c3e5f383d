/** The files that metadata names for a segment, as keys of the object store. */
import type { FieldBinlog, SegmentInfo } from "../../pipeline/proto/gen/data_coord_pb.ts";
import type { FieldFiles, LogFile } from "../../pipeline/model/mod.ts";
import { damagedKey } from "./keys.ts";
import type { LogKind, SegmentParts } from "./segment_keys.ts";

const FOLDERS: Readonly<Record<LogKind, string>> = {
  binlog: "insert_log",
  deltalog: "delta_log",
  statslog: "stats_log",
  bm25log: "bm25_stats",
};

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
export function filesOf(info: SegmentInfo, logs: SegmentParts["logs"], strict: boolean): SegmentFiles {
  const inline = info.binlogs.length + info.deltalogs.length + info.statslogs.length > 0;
  const stored: Record<LogKind, readonly FieldBinlog[]> = inline
    ? { binlog: info.binlogs, deltalog: info.deltalogs, statslog: info.statslogs, bm25log: info.bm25statslogs }
    : logs;
  const inlinePaths = inline
    ? [...info.binlogs, ...info.deltalogs, ...info.statslogs].flatMap(({ binlogs }) =>
      binlogs.map(({ logPath }) => logPath)
    )
    : [];
  const fieldFiles = (kind: LogKind): FieldFiles[] =>
    [...stored[kind]].sort((a, b) => a.fieldID < b.fieldID ? -1 : 1).map((log) => ({
      fieldId: log.fieldID,
      childFields: log.childFields,
      files: log.binlogs.flatMap((entry) => {
        const logId = entry.logID !== 0n ? entry.logID : idInPath(entry.logPath);
        if (logId === undefined) {
          if (!strict) return [];
          throw damagedKey(
            `datacoord-meta/${kind}/${info.collectionID}/${info.partitionID}/${info.ID}/${log.fieldID}`,
            "a file in it has neither an id nor a path",
          );
        }
        return [logFile(info, kind, log.fieldID, logId, entry)];
      }),
    }));
  return {
    binlogs: fieldFiles("binlog"),
    deltalogs: fieldFiles("deltalog"),
    statslogs: fieldFiles("statslog"),
    bm25logs: fieldFiles("bm25log"),
    inlinePaths: inlinePaths.filter((path) => path !== ""),
  };
}

function logFile(
  info: SegmentInfo,
  kind: LogKind,
  fieldId: bigint,
  logId: bigint,
  entry: FieldBinlog["binlogs"][number],
): LogFile {
  const folder = `${FOLDERS[kind]}/${info.collectionID}/${info.partitionID}/${info.ID}`;
  return {
    // Delta logs have no field in their path.
    path: kind === "deltalog" ? `${folder}/${logId}` : `${folder}/${fieldId}/${logId}`,
    logId,
    entries: entry.entriesNum,
    tsFrom: entry.timestampFrom,
    tsTo: entry.timestampTo,
    size: entry.logSize,
  };
}

function idInPath(path: string): bigint | undefined {
  const last = path.slice(path.lastIndexOf("/") + 1);
  return /^\d{1,20}$/.test(last) ? BigInt(last) : undefined;
}

/** Rows in the files of one field or column group. */
export function entriesOf(field: FieldFiles): bigint {
  return field.files.reduce((sum, file) => sum + file.entries, 0n);
}
