/** What an AlterCollection, or before 2.6.5 a SchemaChange, makes of its collection. */
import { isMessage } from "@bufbuild/protobuf";
import type { Alteration, DdlEvent } from "../../../pipeline/model/mod.ts";
import {
  AlterCollectionMessageBodySchema,
  AlterCollectionMessageHeaderSchema,
  SchemaChangeMessageBodySchema,
} from "../../../pipeline/proto/gen/messages_pb.ts";
import type { CollectionSchema } from "../../../pipeline/proto/gen/schema_pb.ts";
import type { Gen2Message } from "./ddl.ts";

/** Undefined where it says nothing that a catalog has. */
export function alterationOf({ operation, message }: DdlEvent): Alteration | undefined {
  if (operation !== "alter_collection") return undefined;
  const { header, body } = message as Partial<Gen2Message>;
  if (isMessage(body, SchemaChangeMessageBodySchema)) {
    return body.schema === undefined ? undefined : { schema: inOrder(body.schema) };
  }
  if (!isMessage(header, AlterCollectionMessageHeaderSchema) || !isMessage(body, AlterCollectionMessageBodySchema)) {
    return undefined;
  }
  const { updates } = body;
  if (updates === undefined) return undefined;
  const changed = new Set(header.updateMask?.paths);
  const { collectionName, dbId, dbName, schema, properties, consistencyLevel } = updates;
  const alteration: Alteration = {
    ...changed.has("collection_name") ? { name: collectionName } : {},
    ...changed.has("db") ? { database: { id: dbId, name: dbName } } : {},
    ...changed.has("schema") && schema !== undefined ? { schema: inOrder(schema) } : {},
    ...changed.has("properties")
      ? { properties: Object.fromEntries(properties.map(({ key, value }) => [key, value])) }
      : {},
    ...changed.has("consistency_level") ? { consistency: consistencyLevel } : {},
  };
  return Object.keys(alteration).length === 0 ? undefined : alteration;
}

/** As the catalog has it: the log has its fields in any order. */
function inOrder(schema: CollectionSchema): CollectionSchema {
  return { ...schema, fields: schema.fields.toSorted((a, b) => a.fieldID < b.fieldID ? -1 : 1) };
}
