/** Paths of log files below the storage root, and the ids in them. */
import type { Segment } from "../../pipeline/model/mod.ts";

/** What a path says. `group`: the field id (storage V1) or column-group id (V2) of an insert log, undefined in a delta log. */
export interface LogPath {
  readonly kind: "insert" | "delta";
  readonly collectionId: bigint;
  readonly partitionId: bigint;
  readonly segmentId: bigint;
  readonly group: bigint | undefined;
  readonly logId: bigint;
}

const INSERT = /^insert_log\/(\d+)\/(-?\d+)\/(\d+)\/(\d+)\/(\d+)$/;
const DELTA = /^delta_log\/(\d+)\/(-?\d+)\/(\d+)\/(\d+)$/;
/** Storage V3 keeps a segment's deletes beside its rows. */
const DELTA_V3 = /^insert_log\/(\d+)\/(-?\d+)\/(\d+)\/_delta\/(\d+)$/;

/** Undefined for whatever else lies there: half uploads, manifests, folders of other tools. */
export function parseLogPath(path: string): LogPath | undefined {
  const insert = INSERT.exec(path);
  if (insert !== null) {
    const [collectionId, partitionId, segmentId, group, logId] = ids(insert);
    return {
      kind: "insert",
      collectionId: collectionId!,
      partitionId: partitionId!,
      segmentId: segmentId!,
      group: group!,
      logId: logId!,
    };
  }
  const delta = DELTA.exec(path) ?? DELTA_V3.exec(path);
  if (delta === null) return undefined;
  const [collectionId, partitionId, segmentId, logId] = ids(delta);
  return {
    kind: "delta",
    collectionId: collectionId!,
    partitionId: partitionId!,
    segmentId: segmentId!,
    group: undefined,
    logId: logId!,
  };
}

/** The segment id in a path of either kind, also where the rest of it is odd; -1 where there is none. */
export function segmentIdIn(path: string): bigint {
  const found = /^(?:insert|delta)_log\/\d+\/-?\d+\/(\d+)\//.exec(path);
  return found === null ? -1n : BigInt(found[1]!);
}

export function insertFolder(collectionId: bigint): string {
  return `insert_log/${collectionId}/`;
}

/** Of the segment's insert files. */
export function segmentFolder(
  { collectionId, partitionId, id }: Pick<Segment, "collectionId" | "partitionId" | "id">,
): string {
  return `${insertFolder(collectionId)}${partitionId}/${id}/`;
}

export function deltaFolder(collectionId: bigint): string {
  return `delta_log/${collectionId}/`;
}

function ids(match: RegExpExecArray): bigint[] {
  return match.slice(1).map(BigInt);
}
