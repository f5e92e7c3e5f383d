/** The schema to create a target collection with, what the target could not keep of it, and how an existing one differs. */
import { clone, create, equals } from "@bufbuild/protobuf";
import type { Collection } from "../../../pipeline/model/mod.ts";
import {
  type CollectionSchema,
  CollectionSchemaSchema,
  DataType,
  type FieldSchema,
  FieldSchemaSchema,
  FunctionSchemaSchema,
  StructArrayFieldSchemaSchema,
  ValueFieldSchema,
} from "../../../pipeline/proto/gen/schema_pb.ts";
import { propertiesOf } from "../actual.ts";
import { nestedName } from "../client_form.ts";
import type { Features } from "../features.ts";

export type AutoIdPolicy = "preserve" | "regenerate";

/** Fields of the system (row id 0, timestamp 1) and the dynamic one: the server adds them itself. */
function isServerField(field: FieldSchema): boolean {
  return field.isDynamic || field.name === "$meta" || (field.fieldID < 100n && SYSTEM_FIELDS.has(field.name));
}
const SYSTEM_FIELDS: ReadonlySet<string> = new Set(["RowID", "Timestamp"]);

/** The fields that a user defined, without what the server adds. */
export function userFields(schema: CollectionSchema): readonly FieldSchema[] {
  return schema.fields.filter((field) => !isServerField(field));
}

/**
 * The schema for CreateCollection. Ids are left to the target. autoID is off, so that the source's keys can be written,
 * unless `regenerate` asks the target to make its own.
 */
export function schemaToCreate(source: Collection, name: string, autoId: AutoIdPolicy): CollectionSchema {
  const schema = source.schema;
  const keyIsAuto = schema.autoID || schema.fields.some((field) => field.isPrimaryKey && field.autoID);
  const keepAuto = keyIsAuto && autoId === "regenerate";
  const fieldOf = (field: FieldSchema): FieldSchema => {
    const copy = clone(FieldSchemaSchema, field);
    copy.fieldID = 0n;
    copy.state = 0;
    copy.autoID = field.isPrimaryKey && keepAuto;
    return copy;
  };
  return create(CollectionSchemaSchema, {
    name,
    description: schema.description,
    autoID: keepAuto,
    enableDynamicField: hasDynamicField(schema),
    fields: userFields(schema).map(fieldOf),
    structArrayFields: schema.structArrayFields.map((one) => {
      const copy = clone(StructArrayFieldSchemaSchema, one);
      copy.fieldID = 0n;
      for (const field of copy.fields) {
        field.fieldID = 0n;
        // The server puts the array's name in front of it.
        field.name = nestedName(field.name)?.inner ?? field.name;
      }
      return copy;
    }),
    functions: schema.functions.map((one) => {
      const copy = clone(FunctionSchemaSchema, one);
      copy.id = 0n;
      copy.inputFieldIds = [];
      copy.outputFieldIds = [];
      return copy;
    }),
    properties: schema.properties,
  });
}

/** The most that Milvus lets a schema say, of what limits the length of values. */
const LARGEST: Readonly<Record<string, bigint>> = { max_length: 65_535n, max_capacity: 4096n };

/** The same schema with all the room for texts and arrays that Milvus gives. Files and memory take what the values need. */
export function widened(schema: CollectionSchema): CollectionSchema {
  const copy = clone(CollectionSchemaSchema, schema);
  for (const { typeParams } of copy.fields) {
    for (const param of typeParams) if (param.key in LARGEST) param.value = `${LARGEST[param.key]}`;
  }
  return copy;
}

/** Every row that fits into the one fits into the other. */
function isRoomier(key: string, have: string | undefined, want: string): boolean {
  return key in LARGEST && have !== undefined && /^\d+$/.test(have) && /^\d+$/.test(want) &&
    BigInt(have) >= BigInt(want);
}

export function hasDynamicField(schema: CollectionSchema): boolean {
  return schema.enableDynamicField || schema.fields.some((field) => field.isDynamic);
}

export type SchemaDifference =
  | { readonly kind: "add_field"; readonly field: FieldSchema }
  | { readonly kind: "alter_field"; readonly field: string; readonly set: Readonly<Record<string, string>> }
  /** Nothing in Milvus' API makes the target's collection what the source's is. */
  | { readonly kind: "impossible"; readonly what: string };

/** Type parameters that AlterCollectionField changes. */
const ALTERABLE_TYPE_PARAMS: ReadonlySet<string> = new Set(["max_length", "max_capacity", "mmap.enabled"]);
/** Type parameters that servers add by themselves or that change nothing in the rows. */
const IGNORED_TYPE_PARAMS: ReadonlySet<string> = new Set(["mmap.enabled", "field.warmup", "warmup"]);

/** How `actual` (on the target) differs from `wanted` (as {@link schemaToCreate} made it). */
export function schemaDifferences(
  wanted: CollectionSchema,
  actual: CollectionSchema,
  features: Features,
): SchemaDifference[] {
  const differences: SchemaDifference[] = [];
  const impossible = (what: string): void => void differences.push({ kind: "impossible", what });
  const there = new Map(userFields(actual).map((field) => [field.name, field]));

  for (const field of userFields(wanted)) {
    const found = there.get(field.name);
    there.delete(field.name);
    if (found === undefined) {
      if (!features.addsFields) impossible(`field ${field.name} is missing, and this release cannot add fields`);
      else if (!features.knowsType(field.dataType)) {
        impossible(`field ${field.name} has a type this release does not know`);
      } else if (!field.nullable && field.defaultValue === undefined) {
        impossible(`field ${field.name} is missing, and only nullable fields can be added`);
      } else differences.push({ kind: "add_field", field });
      continue;
    }
    differences.push(...fieldDifferences(field, found, features));
  }
  for (const name of there.keys()) impossible(`it has a field ${name} that the source does not have`);
  if (hasDynamicField(wanted) !== hasDynamicField(actual)) {
    impossible(`its dynamic field is ${hasDynamicField(actual) ? "on" : "off"}, the source's is not`);
  }
  const functions = new Set(actual.functions.map((one) => one.name));
  for (const one of wanted.functions) if (!functions.has(one.name)) impossible(`function ${one.name} is missing`);
  const structs = new Set(actual.structArrayFields.map((one) => one.name));
  for (const one of wanted.structArrayFields) {
    if (!structs.has(one.name)) impossible(`struct array ${one.name} is missing`);
  }
  return differences;
}

function fieldDifferences(wanted: FieldSchema, actual: FieldSchema, features: Features): SchemaDifference[] {
  const impossible = (what: string): SchemaDifference => ({ kind: "impossible", what: `field ${wanted.name} ${what}` });
  if (wanted.dataType !== actual.dataType) {
    return [impossible(`has type ${DataType[actual.dataType]}, the source's ${DataType[wanted.dataType]}`)];
  }
  if (wanted.dataType === DataType.Array && wanted.elementType !== actual.elementType) {
    return [
      impossible(`has elements of ${DataType[actual.elementType]}, the source's ${DataType[wanted.elementType]}`),
    ];
  }
  const differences: SchemaDifference[] = [];
  if (wanted.isPrimaryKey !== actual.isPrimaryKey) differences.push(impossible("is the primary key on one side only"));
  if (wanted.isPartitionKey !== actual.isPartitionKey) {
    differences.push(impossible("is the partition key on one side only"));
  }
  if (wanted.isPrimaryKey && actual.autoID && !wanted.autoID) {
    differences.push(impossible("gets its keys from the target (autoID), so the source's cannot be written"));
  }
  if (wanted.nullable && !actual.nullable) differences.push(impossible("takes no null values"));
  if (features.fillsDefaults && hasOtherDefault(wanted, actual)) {
    const found = actual.defaultValue === undefined ? "no default value" : `the default value ${valueText(actual)}`;
    differences.push(impossible(`has ${found}, the source's is ${valueText(wanted)}`));
  }
  const want = propertiesOf(wanted.typeParams);
  const have = propertiesOf(actual.typeParams);
  const set: Record<string, string> = {};
  for (const [key, value] of Object.entries(want)) {
    if (have[key] === value || isRoomier(key, have[key], value)) continue;
    if (ALTERABLE_TYPE_PARAMS.has(key) && features.altersFields) set[key] = value;
    else if (!IGNORED_TYPE_PARAMS.has(key)) {
      const wayOut = isRoomier(key, value, have[key] ?? "") ? `. ${wayOutOf(features)}` : "";
      differences.push(impossible(`has ${key} ${have[key] ?? "unset"}, the source's has ${value}${wayOut}`));
    }
  }
  if (Object.keys(set).length > 0) differences.push({ kind: "alter_field", field: wanted.name, set });
  return differences;
}

/** Whether rows that lack the field, since they are older, would get something else. */
function hasOtherDefault(wanted: FieldSchema, actual: FieldSchema): boolean {
  // These are described in another form than they are kept in.
  if (wanted.defaultValue === undefined || TEXT_DEFAULTS.has(wanted.dataType)) return false;
  if (actual.defaultValue === undefined) return actual.nullable;
  return !equals(ValueFieldSchema, wanted.defaultValue, actual.defaultValue);
}
const TEXT_DEFAULTS: ReadonlySet<DataType> = new Set([DataType.Timestamptz, DataType.Geometry]);

function valueText({ defaultValue }: FieldSchema): string {
  const value = defaultValue?.data.value;
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

/** Where the source gave a text or an array more room, and the target's release has no AlterCollectionField. */
function wayOutOf({ version }: Features): string {
  return `Milvus ${version} cannot give it more room: drop the collection there, and the next start copies it afresh; or go on ` +
    "with the rows that fit (transforms.ddl.policy: try_evolve), where transforms.bad_rows says what becomes of others";
}
