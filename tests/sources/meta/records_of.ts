/** Makes records of etcd as Milvus would write them. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  BinlogSchema,
  FieldBinlogSchema,
  type SegmentInfo,
  SegmentInfoSchema,
} from "../../../pipeline/proto/gen/data_coord_pb.ts";
import { type CollectionInfo, CollectionInfoSchema } from "../../../pipeline/proto/gen/etcd_meta_pb.ts";
import type { MetaRecord } from "../../../sources/meta/keys.ts";
import { ROOTS } from "./vectors.ts";

export const COLLECTION = 100n;
export const PARTITION = 101n;
export const VCHANNEL = "p_0_100v0";

export function record(key: string, value: Uint8Array): MetaRecord {
  return { key: `${ROOTS.metaRoot}/${key}`, value };
}

/** A collection with everything in its own record: pk 100, vector 101, nullable 102. */
export function collectionRecord(
  more: Partial<Pick<CollectionInfo, "state" | "createTime">> & { properties?: { key: string; value: string }[] } = {},
  key?: string,
): MetaRecord {
  const info = create(CollectionInfoSchema, {
    ID: COLLECTION,
    createTime: 7n,
    partitionIDs: [PARTITION],
    partitionNames: ["_default"],
    partitionCreatedTimestamps: [7n],
    virtualChannelNames: [VCHANNEL],
    physicalChannelNames: ["p_0"],
    shardsNum: 1,
    schema: {
      name: "c",
      fields: [
        { fieldID: 100n, name: "pk", dataType: 5, isPrimaryKey: true },
        { fieldID: 101n, name: "v", dataType: 101 },
        { fieldID: 102n, name: "late", dataType: 5, nullable: true },
        { fieldID: 0n, name: "RowID", dataType: 5 },
        { fieldID: 1n, name: "Timestamp", dataType: 5 },
      ],
    },
    ...more,
  });
  return record(key ?? `root-coord/collection/${info.ID}`, toBinary(CollectionInfoSchema, info));
}

export function segmentRecord(id: bigint, more: Partial<Omit<SegmentInfo, "$typeName" | "$unknown">> = {}): MetaRecord {
  const info = create(SegmentInfoSchema, {
    ID: id,
    collectionID: COLLECTION,
    partitionID: PARTITION,
    insertChannel: VCHANNEL,
    numOfRows: 10n,
    state: 4,
    ...more,
  });
  return record(
    `datacoord-meta/s/${info.collectionID}/${info.partitionID}/${id}`,
    toBinary(SegmentInfoSchema, info),
  );
}

/** One file of `rows` rows per field. */
export function binlogRecords(id: bigint, rows: Readonly<Record<string, bigint>>): MetaRecord[] {
  return Object.entries(rows).map(([field, entriesNum]) =>
    logRecord("binlog", id, BigInt(field), [{ entriesNum, logID: 5n }])
  );
}

export function logRecord(
  kind: "binlog" | "deltalog" | "statslog",
  id: bigint,
  fieldID: bigint,
  binlogs: readonly MessageInitShape<typeof BinlogSchema>[],
  partition = PARTITION,
  childFields: bigint[] = [],
): MetaRecord {
  return record(
    `datacoord-meta/${kind}/${COLLECTION}/${partition}/${id}/${fieldID}`,
    toBinary(FieldBinlogSchema, create(FieldBinlogSchema, { fieldID, binlogs: [...binlogs], childFields })),
  );
}
