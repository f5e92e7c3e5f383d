/** What is kept of a segment's own key. There may be tens of thousands: a whole message is ten times as large. */
import type { PositionForms, StoredPosition } from "../../pipeline/model/mod.ts";
import type { FieldBinlog, SegmentInfo } from "../../pipeline/proto/gen/data_coord_pb.ts";
import type { MsgPosition } from "../../pipeline/proto/gen/msg_pb.ts";
import { positionOf } from "./decode.ts";

export interface SegmentRecord extends
  Pick<
    SegmentInfo,
    | "ID"
    | "collectionID"
    | "partitionID"
    | "insertChannel"
    | "numOfRows"
    | "state"
    | "lastExpireTime"
    | "createdByCompaction"
    | "droppedAt"
    | "isImporting"
    | "isFake"
    | "compacted"
    | "level"
    | "storageVersion"
    | "isInvisible"
    | "isCreatedByStreaming"
    | "manifestPath"
    | "commitTimestamp"
  > {
  readonly compactionFrom: readonly bigint[];
  readonly startPosition: StoredPosition | undefined;
  readonly dmlPosition: StoredPosition | undefined;
  /** Data of 2.1 and before names its files here. */
  readonly inline: InlineLogs | undefined;
}

export type InlineLogs = Pick<SegmentInfo, "binlogs" | "deltalogs" | "statslogs" | "bm25statslogs">;

const NO_IDS: readonly bigint[] = [];

export class SegmentRecords {
  readonly #forms: PositionForms;
  /** Names of channels, each once: every segment has its own copy of them. */
  readonly #names = new Map<string, string>();

  constructor(forms: PositionForms) {
    this.#forms = forms;
  }

  of(info: SegmentInfo): SegmentRecord {
    const { binlogs, deltalogs, statslogs, bm25statslogs, compactionFrom, startPosition, dmlPosition } = info;
    const named: readonly FieldBinlog[][] = [binlogs, deltalogs, statslogs];
    return {
      ID: info.ID,
      collectionID: info.collectionID,
      partitionID: info.partitionID,
      insertChannel: this.#name(info.insertChannel),
      numOfRows: info.numOfRows,
      state: info.state,
      lastExpireTime: info.lastExpireTime,
      createdByCompaction: info.createdByCompaction,
      droppedAt: info.droppedAt,
      isImporting: info.isImporting,
      isFake: info.isFake,
      compacted: info.compacted,
      level: info.level,
      storageVersion: info.storageVersion,
      isInvisible: info.isInvisible,
      isCreatedByStreaming: info.isCreatedByStreaming,
      manifestPath: info.manifestPath,
      commitTimestamp: info.commitTimestamp,
      compactionFrom: compactionFrom.length === 0 ? NO_IDS : compactionFrom,
      startPosition: startPosition && this.#position(startPosition),
      dmlPosition: dmlPosition && this.#position(dmlPosition),
      inline: named.some(({ length }) => length > 0) ? { binlogs, deltalogs, statslogs, bm25statslogs } : undefined,
    };
  }

  #position(position: MsgPosition): StoredPosition {
    const stored = positionOf(position, this.#forms);
    return { ...stored, channel: this.#name(stored.channel) };
  }

  #name(name: string): string {
    const known = this.#names.get(name);
    if (known !== undefined) return known;
    this.#names.set(name, name);
    return name;
  }
}
