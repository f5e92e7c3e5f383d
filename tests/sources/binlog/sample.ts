/** The sample backup as a source: its files under the paths they had in the source's bucket. */
import { create } from "@bufbuild/protobuf";
import type { FieldFiles, LogFile, ObjectStore, Segment } from "../../../pipeline/model/mod.ts";
import {
  type CollectionSchema,
  CollectionSchemaSchema,
  DataType,
  FieldSchemaSchema,
} from "../../../pipeline/proto/gen/schema_pb.ts";
import { createMemoryStore, type MemoryStore } from "../../../stores/mod.ts";
import { segmentOf } from "../../fakes/segment.ts";

const ROOT = new URL("../../samples/milvus-backup-0.5.16/binlogs/", import.meta.url);
export const SAMPLE_COLLECTION = 470597784452279572n;
export const SAMPLE_DEFAULT = 470597784452279573n;
export const SAMPLE_P1 = 470597784452279582n;

interface FieldSpec {
  readonly id: bigint;
  readonly name: string;
  readonly type: DataType;
  readonly dim?: number;
  readonly elementType?: DataType;
  readonly primary?: boolean;
  readonly dynamic?: boolean;
  readonly nullable?: boolean;
}

export function schemaOf(name: string, fields: readonly FieldSpec[]): CollectionSchema {
  return create(CollectionSchemaSchema, {
    name,
    enableDynamicField: fields.some((field) => field.dynamic),
    fields: [
      create(FieldSchemaSchema, { fieldID: 0n, name: "RowID", dataType: DataType.Int64 }),
      create(FieldSchemaSchema, { fieldID: 1n, name: "Timestamp", dataType: DataType.Int64 }),
      ...fields.map((field) =>
        create(FieldSchemaSchema, {
          fieldID: field.id,
          name: field.name,
          dataType: field.type,
          elementType: field.elementType ?? DataType.None,
          isPrimaryKey: field.primary ?? false,
          isDynamic: field.dynamic ?? false,
          nullable: field.nullable ?? false,
          typeParams: field.dim === undefined ? [] : [{ key: "dim", value: String(field.dim) }],
        })
      ),
    ],
  });
}

export const sampleSchema: CollectionSchema = schemaOf("peer_sample", [
  { id: 100n, name: "id", type: DataType.Int64, primary: true },
  { id: 101n, name: "b", type: DataType.Bool },
  { id: 102n, name: "i8", type: DataType.Int8 },
  { id: 103n, name: "i16", type: DataType.Int16 },
  { id: 104n, name: "i32", type: DataType.Int32 },
  { id: 105n, name: "f", type: DataType.Float },
  { id: 106n, name: "d", type: DataType.Double },
  { id: 107n, name: "s", type: DataType.VarChar },
  { id: 108n, name: "j", type: DataType.JSON },
  { id: 109n, name: "arr", type: DataType.Array, elementType: DataType.Int32 },
  { id: 110n, name: "v", type: DataType.FloatVector, dim: 8 },
  { id: 111n, name: "$meta", type: DataType.JSON, dynamic: true },
]);

export function fileOf(path: string, size: number, entries = 0n): LogFile {
  return { path, logId: BigInt(path.split("/").at(-1)!), entries, tsFrom: 0n, tsTo: 0n, size: BigInt(size) };
}

/** The files of a store below `files/` as segments, as metadata would name them, and the store itself. */
export async function segmentsIn(store: Pick<ObjectStore, "list">, root = "files"): Promise<Segment[]> {
  const found = new Map<string, { inserts: Map<bigint, LogFile[]>; deltas: LogFile[] }>();
  for await (const info of store.list(`${root}/`)) {
    const path = info.key.slice(root.length + 1);
    const parts = path.split("/");
    const id = parts.slice(1, 4).join("/");
    const segment = found.get(id) ?? { inserts: new Map<bigint, LogFile[]>(), deltas: [] as LogFile[] };
    found.set(id, segment);
    const file = fileOf(path, Number(info.size));
    if (parts[0] === "delta_log") {
      segment.deltas.push(file);
    } else {
      const field = BigInt(parts[4]!);
      segment.inserts.set(field, [...segment.inserts.get(field) ?? [], file]);
    }
  }
  return [...found].map(([id, { inserts, deltas }]) => {
    const [collectionId, partitionId, segmentId] = id.split("/").map(BigInt);
    const binlogs = [...inserts].map(([fieldId, files]): FieldFiles => ({ fieldId, childFields: [], files }));
    return segmentOf({
      id: segmentId!,
      collectionId: collectionId!,
      partitionId: partitionId!,
      binlogs,
      deltalogs: [{ fieldId: 0n, childFields: [], files: deltas }],
    });
  });
}

/** `insert_log/<coll>/<part>/<seg>/<field>/<log>` and `delta_log/<coll>/<part>/<seg>/<log>`, below `files/`. */
export async function sampleStore(): Promise<MemoryStore> {
  const store = createMemoryStore();
  const load = async (folder: URL, path: readonly string[]): Promise<void> => {
    for (const entry of Deno.readDirSync(folder)) {
      const next = new URL(`${entry.name}${entry.isDirectory ? "/" : ""}`, folder);
      if (entry.isDirectory) {
        await load(next, [...path, entry.name]);
      } else {
        // The backup has the segment id twice: a group and the segment in it.
        const key = ["files", ...path.slice(0, 4), ...path.slice(5), entry.name].join("/");
        await store.put(key, Deno.readFileSync(next));
      }
    }
  };
  await load(ROOT, []);
  return store;
}
