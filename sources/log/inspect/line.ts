/** Events as JSON objects for people and scripts: `inspect log` prints one a line. */
import { type DescMessage, type JsonObject, type Message, toJson } from "@bufbuild/protobuf";
import { columnToJson, decodeFieldData } from "../../../pipeline/columns/mod.ts";
import type { Json } from "../../../pipeline/json.ts";
import type { DdlEvent, DeleteEvent, InsertEvent } from "../../../pipeline/model/mod.ts";
import type { CreateCollectionRequest, ImportMsg } from "../../../pipeline/proto/gen/msg_pb.ts";
import { CollectionSchemaSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import { schemaOf } from "../gen1/ddl.ts";
import type { Gen2Message } from "../gen2/ddl.ts";
import type { ReplicateRequest } from "../replicate.ts";

export type Line = Record<string, Json>;

/** Protobuf JSON with the names of the .proto file; int64 is text there. */
export function protoJson(schema: DescMessage, message: Message): JsonObject {
  return toJson(schema, message, { useProtoFieldName: true }) as JsonObject;
}

/** `rows`: one object a row, field name -> value. Throws `damaged` where a column cannot be decoded. */
export function insertLine(event: InsertEvent, collectionName: string): Line {
  const columns = event.fieldsData.map((bytes) => decodeFieldData(bytes, event.rows));
  const values = columns.map(columnToJson);
  const rows = Array.from({ length: event.rows }, (_, row) => {
    return Object.fromEntries(columns.map((column, i) => [column.name, values[i]![row]!]));
  });
  return { ...rowsHead(event, collectionName), rows, segment_id: String(event.segmentId) };
}

export function deleteLine(event: DeleteEvent, collectionName: string): Line {
  return { ...rowsHead(event, collectionName), pks: Array.from<bigint | string, string>(event.keys.values, String) };
}

function rowsHead(event: InsertEvent | DeleteEvent, collectionName: string): Line {
  return {
    channel: event.vchannel,
    collection_id: String(event.collectionId),
    collection_name: collectionName,
    event: event.kind,
    ...(event.generation === 1 ? { generation: 1 } : {}),
    partition_id: String(event.partitionId),
    partition_name: event.partitionName,
    ts: String(event.ts),
    ...(event.txnId === undefined ? {} : { txn_id: String(event.txnId) }),
  };
}

/** All copies of one DDL, in the order of their channels. */
export function ddlLine(copies: readonly { readonly channel: string; readonly event: DdlEvent }[]): Line {
  const sorted = copies.toSorted((a, b) => a.channel < b.channel ? -1 : a.channel > b.channel ? 1 : 0);
  const { event } = sorted[0]!;
  const head = {
    channels: sorted.map(({ channel }) => channel),
    event: event.typeName,
    tts: Object.fromEntries(sorted.map((copy) => [copy.channel, String(copy.event.ts)])),
    type: event.type,
  };
  if (event.generation === 1) {
    return {
      ...head,
      generation: 1,
      ts: String(event.ts),
      collection_id: String(event.collectionId),
      ...gen1Body(event),
    };
  }
  // The control channel's copy is the one by which Milvus dates the change; without one, the last.
  const control = sorted.find(({ channel }) => channel.endsWith("_vcchan"));
  const ts = control?.event.ts ?? sorted.map((copy) => copy.event.ts).reduce((a, b) => a > b ? a : b);
  const { header, headerSchema, body, bodySchema } = event.message as Gen2Message;
  return {
    ...head,
    ts: String(ts),
    ...(event.broadcast === undefined ? {} : { broadcast_id: String(event.broadcast.id) }),
    header: protoJson(headerSchema, header) as Line,
    body: protoJson(bodySchema, body) as Line,
  };
}

/** Only what the record really carries: generation 1 leaves most names empty. */
function gen1Body(event: DdlEvent): Line {
  const name: Line = event.collectionName === "" ? {} : { collection_name: event.collectionName };
  const ids = event.partitionIds.map(String);
  switch (event.operation) {
    case "create_collection": {
      const schema = schemaOf(event.message as CreateCollectionRequest);
      return {
        ...name,
        partition_ids: ids,
        ...(schema === undefined ? {} : { schema: protoJson(CollectionSchemaSchema, schema) as Line }),
      };
    }
    case "drop_collection":
      return name;
    case "create_partition":
    case "drop_partition":
      return {
        ...name,
        partition_id: ids[0] ?? "0",
        partition_name: event.partitionName,
      };
    case "import": {
      const message = event.message as ImportMsg;
      return {
        ...name,
        partition_ids: ids,
        files: message.files.map((file) => [...file.paths]),
        job_id: String(message.jobID),
      };
    }
    default:
      return name;
  }
}

/** Fields that hold passwords, base64 but in clear. */
const SECRETS: ReadonlySet<string> = new Set(["password", "oldPassword", "newPassword"]);

/** `redact`: passwords, which travel through this topic in clear, are replaced by `***`. */
export function replicateLine(request: ReplicateRequest, redact: boolean): Line {
  const { base: _, ...rest } = protoJson(request.schema, request.request) as Line;
  if (redact) { for (const key of Object.keys(rest)) if (SECRETS.has(key)) rest[key] = "***"; }
  return {
    channel: request.topic,
    event: request.typeName,
    generation: 1,
    request: rest,
    ts: String(request.ts),
    type: request.type,
  };
}
