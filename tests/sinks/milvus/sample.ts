/** Source collections and rows for tests of the Milvus sink. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { Collection, Index, OwnedCollection, WhoseCollection } from "../../../pipeline/model/mod.ts";
import { ConsistencyLevel } from "../../../pipeline/proto/gen/common_pb.ts";
import {
  type CollectionSchema,
  CollectionSchemaSchema,
  DataType,
  type FieldData,
  FieldDataSchema,
  type FieldSchema,
  FieldSchemaSchema,
} from "../../../pipeline/proto/gen/schema_pb.ts";

export function field(
  name: string,
  dataType: DataType,
  more: Partial<Omit<FieldSchema, "$typeName" | "typeParams">> = {},
  typeParams: Record<string, string | number> = {},
): FieldSchema {
  return create(FieldSchemaSchema, {
    name,
    dataType,
    ...more,
    typeParams: Object.entries(typeParams).map(([key, value]) => ({ key, value: String(value) })),
  });
}

/** As etcd has it: with the two system fields, and `$meta` where it is dynamic. */
export function storedSchema(
  fields: readonly FieldSchema[],
  more: { dynamic?: boolean; description?: string; autoID?: boolean } = {},
): CollectionSchema {
  const all = [...fields];
  if (more.dynamic) all.push(field("$meta", DataType.JSON, { isDynamic: true }));
  all.forEach((one, i) => one.fieldID = BigInt(100 + i));
  return create(CollectionSchemaSchema, {
    name: "items",
    description: more.description ?? "",
    autoID: more.autoID ?? false,
    enableDynamicField: more.dynamic ?? false,
    fields: [
      field("RowID", DataType.Int64, { fieldID: 0n }),
      field("Timestamp", DataType.Int64, { fieldID: 1n }),
      ...all,
    ],
  });
}

export function itemsSchema(key: DataType.Int64 | DataType.VarChar = DataType.Int64, dim = 4): CollectionSchema {
  const params: Record<string, number> = key === DataType.VarChar ? { max_length: 200 } : {};
  return storedSchema([
    field("id", key, { isPrimaryKey: true }, params),
    field("vec", DataType.FloatVector, {}, { dim }),
    field("text", DataType.VarChar, {}, { max_length: 200 }),
  ], { dynamic: true });
}

export function index(name: string, fieldName: string, params: Record<string, string>): Index {
  return { id: 1n, fieldId: 101n, fieldName, name, params, typeParams: {}, isAuto: false, createTs: 0n };
}

export const FLAT = { index_type: "FLAT", metric_type: "L2" };

export function collection(name: string, more: Partial<Collection> = {}): Collection {
  return {
    id: 7n,
    dbId: 1n,
    dbName: "default",
    name,
    schema: itemsSchema(),
    shards: 1,
    vchannels: [],
    pchannels: [],
    startOffsets: new Map(),
    createTs: 0n,
    consistency: ConsistencyLevel.Bounded,
    properties: {},
    partitions: [{ id: 1n, name: "_default", createTs: 0n }],
    aliases: [],
    indexes: [index("vec_idx", "vec", FLAT)],
    load: undefined,
    ...more,
  };
}

export const LOADED = { scope: "collection", partitionIds: [], replicas: 1, loadFields: [], loaded: true } as const;

/** Everything that is there is the run's own. */
export const ALL_MADE: WhoseCollection = {
  made: () => true,
  aliases: "keep_foreign",
  merge: false,
  aliasOf: () => "run",
};

export function wanted(name: string, more: Partial<Collection> = {}, db = "default"): OwnedCollection {
  return { source: collection(name, more), target: { db, name }, whose: ALL_MADE };
}

export interface Item {
  readonly id: bigint | string;
  readonly text: string;
  readonly extra?: string;
}

/** The columns of {@link itemsSchema}; the vector is made from the text. */
export function itemColumns(items: readonly Item[], dim = 4): Uint8Array[] {
  const ids = items.map((one) => one.id);
  const int64 = typeof ids[0] === "bigint";
  const encode = (data: Parameters<typeof create<typeof FieldDataSchema>>[1]): Uint8Array =>
    toBinary(FieldDataSchema, create(FieldDataSchema, data));
  return [
    encode({
      type: int64 ? DataType.Int64 : DataType.VarChar,
      fieldName: "id",
      field: {
        case: "scalars",
        value: {
          data: int64
            ? { case: "longData", value: { data: ids as bigint[] } }
            : { case: "stringData", value: { data: ids as string[] } },
        },
      },
    }),
    encode({
      type: DataType.FloatVector,
      fieldName: "vec",
      field: {
        case: "vectors",
        value: {
          dim: BigInt(dim),
          data: { case: "floatVector", value: { data: items.flatMap((one) => vectorOf(one.text, dim)) } },
        },
      },
    }),
    encode({
      type: DataType.VarChar,
      fieldName: "text",
      field: {
        case: "scalars",
        value: { data: { case: "stringData", value: { data: items.map((one) => one.text) } } },
      },
    }),
    encode({
      type: DataType.JSON,
      fieldName: "$meta",
      isDynamic: true,
      field: {
        case: "scalars",
        value: {
          data: {
            case: "jsonData",
            value: { data: items.map((one) => new TextEncoder().encode(one.extra ?? "{}")) },
          },
        },
      },
    }),
  ];
}

/** A message's parts, put together. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

export function vectorOf(text: string, dim = 4): number[] {
  return Array.from({ length: dim }, (_, i) => (text.charCodeAt(i % Math.max(1, text.length)) || 0) + i / 8);
}

/** The values of one column of a page. */
export function columnValues(column: FieldData): readonly unknown[] {
  if (column.field.case === "scalars") {
    const { data } = column.field.value;
    return data.case === undefined ? [] : (data.value as { data: readonly unknown[] }).data;
  }
  if (column.field.case === "vectors") {
    const { dim, data } = column.field.value;
    const flat = data.case === "floatVector" ? data.value.data : [];
    const width = parseInt(dim.toString());
    return Array.from({ length: flat.length / width }, (_, i) => flat.slice(i * width, (i + 1) * width));
  }
  return [];
}

/** Keys with everything in them that a parser could stumble over. */
export const NASTY_KEYS = [
  "",
  "plain",
  '"',
  "\\",
  '\\"',
  'x"] or id in ["plain',
  "line\nbreak",
  "cr\rtab\t",
  "nul\0nul",
  "\u0001\u001f\u007f",
  "é",
  "日本語",
  "😀👩‍👩‍👧",
  "\u2028\u2029",
  "'single'",
  "%_like",
  "${x} {{y}}",
  " lead and trail ",
] as const;
