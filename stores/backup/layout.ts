/**
 * Keys of a backup, milvus-backup's tree with our own files beside it. The store's root is the folder that holds all
 * backups (milvus-backup's `<bucket>/<rootPath>`).
 *
 *     <name>/meta/{backup,collection,partition,segment,full}_meta.json
 *     <name>/binlogs/insert_log/<collection>/<partition>/<group>/<segment>/<field>/<log>
 *     <name>/binlogs/delta_log/<collection>/<partition>/<group>/<segment>/<log>
 *     <name>/binlogs/delta_log/<collection>/-1/<segment>/<log>          L0 of all partitions: no group
 *     <name>/manifests/insert_log/<collection>/<partition>/<segment>/…  segments kept by a manifest (storage V3), whole
 *     <name>/tidemark.json                                              cuts, checksums, versions, those segments
 *     <name>/log/<pchannel>/<sequence>.parquet                          the log archive
 *     <name>/catalog/<revision>.json                                    the catalog after each change
 *     <name>/dropped/<id>-<timestamp>.json                              when a collection or partition was dropped, by the log
 *     <name>/altered/<collection>-<timestamp>.json                      what a collection became by a change, by the log
 *     <name>/silent/<pchannel>.json                                     up to when nothing more was written to a pchannel
 *     <name>/_ledger/<number>.json                                      what is copied so far; gone when the base is done
 *     <name>/_removing.json                                             there from the first to the last step of its removal
 *
 * milvus-backup's `list` and `get` look at `meta/` only and its `restore` at `meta/` and `binlogs/`, so `tidemark.json`,
 * `manifests/`, `log/`, `catalog/`, `dropped/`, `altered/`, `silent/` and `_…` do not disturb it; its `delete` removes the whole folder.
 */
import { TidemarkError } from "../../pipeline/errors.ts";

/** The five files below `meta/`. */
export const META_FILES = ["collection_meta", "partition_meta", "segment_meta", "full_meta", "backup_meta"] as const;
export type MetaFile = typeof META_FILES[number];

/** A segment's place in the tree. */
export interface SegmentPlace {
  readonly id: bigint;
  readonly collectionId: bigint;
  readonly partitionId: bigint;
  /** 0: no group folder. */
  readonly groupId: bigint;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** milvus-backup's own rule for names; Tidemark writes no others, so that both can read each other's. */
export function isBackupName(name: string): boolean {
  return name.length <= 128 && NAME.test(name);
}

/** Throws `usage` for a name that milvus-backup would refuse. */
export function validateBackupName(name: string): void {
  if (isBackupName(name)) return;
  throw new TidemarkError("usage", `"${name}" is no name for a backup`, {
    hint: "Use letters, digits and _, not beginning with a digit, at most 128 characters.",
  });
}

export const backupFolder = (name: string): string => `${name}/`;
export const binlogFolder = (name: string): string => `${name}/binlogs/`;
/** Of segments kept by a manifest: their files have below it the paths that they had in Milvus. */
export const manifestsFolder = (name: string): string => `${name}/manifests/`;
export const metaKey = (name: string, file: MetaFile): string => `${name}/meta/${file}.json`;
export const manifestKey = (name: string): string => `${name}/tidemark.json`;
export const removalKey = (name: string): string => `${name}/_removing.json`;
export const ledgerFolder = (name: string): string => `${name}/_ledger/`;
export const logFolder = (name: string): string => `${name}/log/`;
export const archiveFolder = (name: string, pchannel: string): string => `${name}/log/${pchannel}/`;

/** Ten digits, so that the order of names is the order of numbers. */
export function archiveKey(name: string, pchannel: string, sequence: bigint): string {
  return `${archiveFolder(name, pchannel)}${sequence.toString().padStart(10, "0")}.parquet`;
}

/** The number in an archive file's key; undefined for any other key. */
export function archiveSequence(key: string): bigint | undefined {
  const digits = /\/(\d{10,})\.parquet$/.exec(key)?.[1];
  return digits === undefined ? undefined : BigInt(digits);
}

/** The group folder that a segment gets: itself, except for L0 segments of all partitions. */
export function groupOf(segment: { readonly id: bigint; readonly partitionId: bigint }): bigint {
  return segment.partitionId === -1n ? 0n : segment.id;
}

/** `insert_log/…/` of a segment, below `binlogs/`. */
export function insertFolder(place: SegmentPlace): string {
  return `insert_log/${segmentFolder(place)}`;
}

/** `delta_log/…/` of a segment, below `binlogs/`. */
export function deltaFolder(place: SegmentPlace): string {
  return `delta_log/${segmentFolder(place)}`;
}

export function insertPath(place: SegmentPlace, fieldId: bigint, logId: bigint): string {
  return `${insertFolder(place)}${fieldId}/${logId}`;
}

export function deltaPath(place: SegmentPlace, logId: bigint): string {
  return `${deltaFolder(place)}${logId}`;
}

function segmentFolder({ id, collectionId, partitionId, groupId }: SegmentPlace): string {
  const group = groupId === 0n ? "" : `${groupId}/`;
  return `${collectionId}/${partitionId}/${group}${id}/`;
}
