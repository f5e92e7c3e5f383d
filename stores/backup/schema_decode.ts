/** A collection's schema out of a backup's JSON. */
import { create, fromBinary } from "@bufbuild/protobuf";
import { TidemarkError } from "../../pipeline/errors.ts";
import {
  type CollectionSchema,
  CollectionSchemaSchema,
  DataType,
  type FieldSchema,
  FieldSchemaSchema,
  FunctionSchemaSchema,
  StructArrayFieldSchemaSchema,
  type ValueField,
  ValueFieldSchema,
} from "../../pipeline/proto/gen/schema_pb.ts";
import type { KeyValuePair } from "../../pipeline/proto/gen/common_pb.ts";
import { KeyValuePairSchema } from "../../pipeline/proto/gen/common_pb.ts";
import type { JsonObject } from "./json_reader.ts";

/**
 * `written`: ids of the fields that the segments have files of. milvus-backup leaves the dynamic field out of the schema,
 * though its files are in the backup: it is the one written field that the schema does not list.
 * The system fields 0 and 1 are added, as Milvus' own metadata has them.
 */
export function decodeSchema(json: JsonObject, written: ReadonlySet<bigint>): CollectionSchema {
  const fields = json.list("fields").map(fieldOf);
  const structs = json.list("struct_array_fields").map((field) =>
    create(StructArrayFieldSchemaSchema, {
      fieldID: field.int("fieldID"),
      name: field.text("name"),
      description: field.text("description"),
      fields: field.list("fields").map(fieldOf),
    })
  );
  const enableDynamicField = json.flag("enable_dynamic_field");
  if (enableDynamicField && !fields.some(({ isDynamic }) => isDynamic)) {
    const listed = new Set([...fields, ...structs.flatMap((field) => field.fields)].map(({ fieldID }) => fieldID));
    fields.push(dynamicField(dynamicId(listed, written)));
  }
  return create(CollectionSchemaSchema, {
    name: json.text("name"),
    description: json.text("description"),
    autoID: json.flag("autoID"),
    fields: [...systemFields(fields), ...fields],
    enableDynamicField,
    properties: pairs(json, "properties"),
    functions: json.list("functions").map((fn) =>
      create(FunctionSchemaSchema, {
        name: fn.text("name"),
        id: fn.int("id"),
        description: fn.text("description"),
        type: fn.small("type"),
        inputFieldNames: fn.texts("input_field_names"),
        inputFieldIds: fn.ints("input_field_ids"),
        outputFieldNames: fn.texts("output_field_names"),
        outputFieldIds: fn.ints("output_field_ids"),
        params: pairs(fn, "params"),
      })
    ),
    structArrayFields: structs,
  });
}

function dynamicId(listed: ReadonlySet<bigint>, written: ReadonlySet<bigint>): bigint {
  const unlisted = [...written].filter((id) => id >= 100n && !listed.has(id));
  const all = [...listed, ...unlisted];
  const largest = all.reduce((max, id) => id > max ? id : max, 99n);
  return unlisted.length > 0 ? unlisted.reduce((max, id) => id > max ? id : max) : largest + 1n;
}

function dynamicField(fieldID: bigint): FieldSchema {
  return create(FieldSchemaSchema, {
    fieldID,
    name: "$meta",
    description: "dynamic schema",
    dataType: DataType.JSON,
    isDynamic: true,
  });
}

function systemFields(fields: readonly FieldSchema[]): FieldSchema[] {
  if (fields.some(({ fieldID }) => fieldID === 0n)) return [];
  return [
    create(FieldSchemaSchema, { fieldID: 0n, name: "RowID", description: "row id", dataType: DataType.Int64 }),
    create(FieldSchemaSchema, { fieldID: 1n, name: "Timestamp", description: "time stamp", dataType: DataType.Int64 }),
  ];
}

function fieldOf(json: JsonObject): FieldSchema {
  const value = defaultValue(json);
  return create(FieldSchemaSchema, {
    fieldID: json.int("fieldID"),
    name: json.text("name"),
    isPrimaryKey: json.flag("is_primary_key"),
    description: json.text("description"),
    dataType: json.small("data_type"),
    typeParams: pairs(json, "type_params"),
    indexParams: pairs(json, "index_params"),
    autoID: json.flag("autoID"),
    state: json.small("state"),
    elementType: json.small("element_type"),
    isDynamic: json.flag("is_dynamic"),
    isPartitionKey: json.flag("is_partition_key"),
    nullable: json.flag("nullable"),
    isFunctionOutput: json.flag("is_function_output"),
    ...(value === undefined ? {} : { defaultValue: value }),
  });
}

/** `default_value_base64` since 0.5.5; before, `default_value_proto`: the same bytes forced into a JSON string. */
function defaultValue(json: JsonObject): ValueField | undefined {
  const base64 = json.text("default_value_base64");
  const forced = json.text("default_value_proto");
  if (base64 === "" && forced === "") return undefined;
  try {
    const bytes = base64 !== "" ? Uint8Array.fromBase64(base64) : new TextEncoder().encode(forced);
    return fromBinary(ValueFieldSchema, bytes);
  } catch (cause) {
    throw new TidemarkError("damaged", `The default value of field ${json.text("name")} in the backup is unreadable`, {
      hint: "Backups of milvus-backup before 0.5.5 damage default values that are not UTF-8 text.",
      cause,
    });
  }
}

function pairs(json: JsonObject, key: string): KeyValuePair[] {
  return json.list(key).map((pair) => create(KeyValuePairSchema, { key: pair.text("key"), value: pair.text("value") }));
}
